package flowengine

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Shards is the fixed number of shards that persons are hashed to. It is part
// of the stored format: changing it needs a migration.
const Shards = 256

// Shard is the number of a shard, below Shards.
type Shard uint16

// PersonID identifies a person. Its first two bytes are the shard that owns the
// person, big-endian, so that an id leads to its owner without a look-up.
type PersonID [16]byte

// Shard is the owner of the person.
func (id PersonID) Shard() Shard { return Shard(binary.BigEndian.Uint16(id[:2])) }

// IsZero reports that no person is meant.
func (id PersonID) IsZero() bool { return id == PersonID{} }

var idText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String gives the 26 characters that stand for the id in the API, the console and logs.
func (id PersonID) String() string { return idText.EncodeToString(id[:]) }

// ParsePersonID reads what String wrote, in either case.
func ParsePersonID(s string) (PersonID, error) {
	var id PersonID
	b, err := idText.DecodeString(strings.ToLower(s))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%q is not a person id: 26 letters and digits are expected", s)
	}
	copy(id[:], b)
	if id.Shard() >= Shards {
		return PersonID{}, fmt.Errorf("%q is not a person id: shard %d does not exist", s, id.Shard())
	}
	return id, nil
}

// AddressKind says what kind of contact an address is.
type AddressKind uint8

// The kinds of addresses. The numbers are stored.
const (
	Phone AddressKind = 1
	Email AddressKind = 2
	Push  AddressKind = 3
	Chat  AddressKind = 4
	// External is the id under which another system knows the person. It leads
	// to the person like an address, and nothing is sent there.
	External AddressKind = 5
)

// String gives the word used in configuration and API.
func (k AddressKind) String() string {
	switch k {
	case Phone:
		return "phone"
	case Email:
		return "email"
	case Push:
		return "push"
	case Chat:
		return "chat"
	case External:
		return "external"
	}
	return fmt.Sprintf("address kind %d", uint8(k))
}

// Address is one way to reach a person. Value is normalised once, at the edge:
// a phone is E.164 digits without plus, an e-mail address has a lower-case domain.
type Address struct {
	Kind  AddressKind
	Value string
}

// Shard is the shard that keeps the record which leads from the address to its
// person. A person who is created from an address lives in the same shard.
func (a Address) Shard() Shard {
	var h xxhash.Digest
	h.Reset()
	_, _ = h.Write([]byte{byte(a.Kind), 0})
	_, _ = h.WriteString(a.Value)
	return Shard(h.Sum64() % Shards)
}

// NewPersonID derives the id of a person first seen at address a, as the n-th
// person created from it. It is deterministic, so that a replayed cause creates
// the same person.
func NewPersonID(a Address, n uint64) PersonID {
	var id PersonID
	binary.BigEndian.PutUint16(id[:2], uint16(a.Shard()))
	var h xxhash.Digest
	h.ResetWithSeed(n)
	_, _ = h.Write([]byte{byte(a.Kind), 1})
	_, _ = h.WriteString(a.Value)
	first := h.Sum64()
	_, _ = h.Write([]byte{2})
	binary.BigEndian.PutUint64(id[2:10], first)
	binary.BigEndian.PutUint64(id[8:16], h.Sum64())
	return id
}

// RunRef names one run: the n-th passage of a person through a flow.
type RunRef struct {
	Person PersonID
	Flow   string
	Number uint32 // entry number of the person in the flow, from 1
}

// String gives person/flow/number.
func (r RunRef) String() string {
	return fmt.Sprintf("%s/%s/%d", r.Person, r.Flow, r.Number)
}
