package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// X9: private destinations are refused unless listed.
func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		address string
		allowed bool
	}{
		{"8.8.8.8", true},
		{"100.63.255.255", true}, {"100.128.0.0", true},
		{"172.15.255.255", true}, {"172.32.0.0", true},
		{"2606:4700::1111", true}, {"2a00:1450::1", true}, {"2001:200::1", true},

		{"0.0.0.0", false}, {"0.1.2.3", false}, {"255.255.255.255", false}, {"240.0.0.1", false},
		{"127.0.0.1", false}, {"127.255.255.254", false},
		{"10.0.0.1", false}, {"172.16.0.1", false}, {"172.31.255.255", false}, {"192.168.1.1", false},
		{"100.64.0.1", false}, {"100.127.255.255", false},
		{"169.254.0.1", false}, {"169.254.169.254", false}, {"169.254.170.2", false}, // AWS, Azure, Google; ECS
		{"168.63.129.16", false}, {"100.100.100.200", false}, {"192.0.0.192", false}, // Azure, Alibaba, Oracle
		{"192.0.2.1", false}, {"198.51.100.1", false}, {"203.0.113.1", false}, {"198.19.255.255", false}, {"192.88.99.1", false},
		{"224.0.0.1", false}, {"239.255.255.250", false},

		{"::", false}, {"::1", false}, {"::2", false}, {"::7f00:1", false},
		{"fe80::1", false}, {"fe80::1%eth0", false}, {"fec0::1", false}, {"fc00::1", false}, {"fd00:ec2::254", false},
		{"ff02::1", false}, {"ff0e::1", false}, {"100::1", false}, {"5f00::1", false},
		{"2001:db8::1", false}, {"3fff::1", false}, {"2002:7f00:1::", false}, {"2001::1", false}, {"2001:2::1", false},
		{"64:ff9b::7f00:1", false}, {"64:ff9b::808:808", false}, {"64:ff9b:1::a00:1", false}, {"::ffff:0:7f00:1", false},
		{"::ffff:127.0.0.1", false}, {"::ffff:10.0.0.1", false},
	} {
		a := netip.MustParseAddr(tt.address)
		err := guard{}.check(a)
		var refused *RefusedError
		if (err == nil) != tt.allowed || err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %v", tt.address, err)
		}
	}
	if err := (guard{}).literal(netip.MustParseAddr("::ffff:8.8.8.8")); err == nil {
		t.Error("a URL may write a public address in the clothes of IPv6")
	}
	if err := (guard{}).check(netip.Addr{}); err == nil {
		t.Error("no address at all is allowed")
	}
}

func TestGuardAllows(t *testing.T) {
	g := guard{prefixes("10.1.0.0/16", "fd12::/32", "64:ff9b::/96")}
	for address, allowed := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd12::1": true,
		"10.2.0.1": false, "fd13::1": false, "127.0.0.1": false, "fd12::1%eth0": false,
		// NAT64 is opened for what it stands for, no more.
		"64:ff9b::808:808": true, "64:ff9b::a01:203": true, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false,
	} {
		if err := g.check(netip.MustParseAddr(address)); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestGuardSeesWhatIsDialled(t *testing.T) {
	for address, allowed := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true,
		"127.0.0.1:80": false, "[::1]:80": false, "[::ffff:127.0.0.1]:80": false, "example.com:80": false, "8.8.8.8": false, "": false,
	} {
		if err := (guard{}).control(context.Background(), "tcp", address, nil); (err == nil) != allowed {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// What the standard library knows to be special is never allowed.
func FuzzGuard(f *testing.F) {
	f.Add(uint64(0), uint64(1), false)
	f.Add(uint64(0), uint64(0xFFFF7F000001), false)
	f.Add(uint64(0), uint64(0x0A000001), true)
	f.Fuzz(func(t *testing.T, high, low uint64, v4 bool) {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], high)
		binary.BigEndian.PutUint64(b[8:], low)
		a := netip.AddrFrom16(b)
		if v4 {
			a = netip.AddrFrom4([4]byte(b[12:]))
		}
		u := a.Unmap()
		special := u.IsLoopback() || u.IsPrivate() || u.IsMulticast() || u.IsLinkLocalUnicast() || u.IsUnspecified()
		if special && (guard{}).check(a) == nil {
			t.Errorf("%s is allowed", a)
		}
	})
}
