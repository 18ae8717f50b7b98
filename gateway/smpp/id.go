package smpp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// A message id of ours says when it was given and proves that it was given to
// this carrier, so that query_sm, cancel_sm and replace_sm can be judged
// without a table. It is 20 hexadecimal digits for 80 bits:
//
//	42 bits  milliseconds since 1970
//	12 bits  number within the millisecond
//	26 bits  check: AES of the above under the carrier's key
//
// The check also covers which receipts the submitter asked for, so that this
// is known when a receipt falls due, without a table: it is found by trying.
//
// The first digit is not 0 in this century, so an id survives peers that keep
// it as a number. The time never repeats or runs back within a process, and a
// process takes longer than a millisecond to start: no id is given twice.
const (
	idDigits = 20
	seqBits  = 12
	macBits  = 26
)

// idSource gives message ids; it is shared by all carriers.
type idSource struct {
	mu   sync.Mutex
	last uint64 // time and number of the last id: 54 bits
}

// next returns 54 bits that were never returned before.
func (s *idSource) next(now time.Time) uint64 {
	v := uint64(now.UnixMilli()) << seqBits
	s.mu.Lock()
	defer s.mu.Unlock()
	if v <= s.last {
		v = s.last + 1
	}
	s.last = v
	return v
}

// idKey signs the ids of one carrier.
type idKey struct {
	mu    sync.Mutex
	block cipher.Block
	buf   [aes.BlockSize]byte // under mu; on the heap once instead of once per id
}

// newIDKey derives a carrier's key: from the daemon's secret, or from the
// password that only the carrier and we know.
func newIDKey(secret string, c *Carrier) *idKey {
	if secret == "" {
		secret = c.Password
	}
	sum := sha256.Sum256([]byte("trunkline message id\x00" + c.Name + "\x00" + c.SystemID + "\x00" + secret))
	block, err := aes.NewCipher(sum[:16])
	if err != nil {
		panic(err) // 16 octets are a key size
	}
	return &idKey{block: block}
}

func (k *idKey) mac(v uint64, want pdu.RegisteredDelivery) uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	binary.BigEndian.PutUint64(k.buf[:8], v)
	clear(k.buf[8:])
	k.buf[8] = byte(want)
	k.block.Encrypt(k.buf[:], k.buf[:])
	return binary.BigEndian.Uint32(k.buf[:4]) >> (32 - macBits)
}

// append writes the id for v behind dst; want is [pdu.RegisteredDelivery.Receipt].
func (k *idKey) append(dst []byte, v uint64, want pdu.RegisteredDelivery) []byte {
	mac := uint64(k.mac(v, want))
	var raw [idDigits / 2]byte
	binary.BigEndian.PutUint16(raw[:2], uint16(v>>(64-macBits)))
	binary.BigEndian.PutUint64(raw[2:], v<<macBits|mac)
	return hex.AppendEncode(dst, raw[:])
}

// verify reports whether id was given to the carrier with this key, when, and
// which receipts its message asked for. Upper case is accepted: some peers fold
// what they keep.
func (k *idKey) verify(id []byte) (given time.Time, want pdu.RegisteredDelivery, ok bool) {
	if len(id) != idDigits {
		return time.Time{}, 0, false
	}
	var raw [idDigits / 2]byte
	if _, err := hex.Decode(raw[:], id); err != nil {
		return time.Time{}, 0, false
	}
	high, low := uint64(binary.BigEndian.Uint16(raw[:2])), binary.BigEndian.Uint64(raw[2:])
	v := high<<(64-macBits) | low>>macBits
	mac := uint32(low & (1<<macBits - 1))
	for want := pdu.ReceiptNever; want <= pdu.ReceiptOnSuccess; want++ {
		if subtle.ConstantTimeEq(int32(k.mac(v, want)), int32(mac)) == 1 {
			return time.UnixMilli(int64(v >> seqBits)).UTC(), want, true
		}
	}
	return time.Time{}, 0, false
}
