package pdu

import (
	"bytes"
	"errors"
	"testing"
)

func TestTLVs(t *testing.T) {
	var tlvs TLVs
	tlvs = tlvs.AppendUint8(TagMessageState, 2)
	tlvs = tlvs.AppendUint16(TagSourcePort, 5000)
	tlvs, err := tlvs.AppendCString(TagReceiptedMessageID, []byte("ab12"))
	if err != nil {
		t.Fatal(err)
	}
	tlvs, err = tlvs.Append(0x1400, []byte{})
	if err != nil {
		t.Fatal(err)
	}
	tlvs = tlvs.AppendUint8(TagMessageState, 5) // the first one counts
	want := "\x04\x27\x00\x01\x02" + "\x02\x0A\x00\x02\x13\x88" + "\x00\x1E\x00\x05ab12\x00" + "\x14\x00\x00\x00" + "\x04\x27\x00\x01\x05"
	if string(tlvs) != want {
		t.Fatalf("%x\n%x", []byte(tlvs), want)
	}
	if v, ok := tlvs.Uint8(TagMessageState); !ok || v != 2 {
		t.Errorf("message_state %d %v", v, ok)
	}
	if v, ok := tlvs.Uint16(TagSourcePort); !ok || v != 5000 {
		t.Errorf("source_port %d %v", v, ok)
	}
	if v, ok := tlvs.CString(TagReceiptedMessageID); !ok || string(v) != "ab12" {
		t.Errorf("receipted_message_id %q %v", v, ok)
	}
	if v, ok := tlvs.Get(0x1400); !ok || v == nil || len(v) != 0 {
		t.Errorf("vendor's %v %v", v, ok)
	}
	if v, ok := tlvs.Get(TagMessagePayload); ok || v != nil {
		t.Errorf("absent %v %v", v, ok)
	}
	if _, ok := tlvs.Uint8(TagSourcePort); ok {
		t.Error("two octets are read as one")
	}
	if _, ok := tlvs.Uint16(TagMessageState); ok {
		t.Error("one octet is read as two")
	}
	var tags []Tag
	for tag := range tlvs.All() {
		tags = append(tags, tag)
	}
	if len(tags) != 5 || tags[0] != TagMessageState || tags[3] != 0x1400 || tags[4] != TagMessageState {
		t.Errorf("%v", tags)
	}
	for range tlvs.All() {
		break // must not panic
	}
}

func TestTLVsCStringWithoutNUL(t *testing.T) {
	tlvs, _ := TLVs(nil).Append(TagReceiptedMessageID, []byte("ab12"))
	if v, ok := tlvs.CString(TagReceiptedMessageID); !ok || string(v) != "ab12" {
		t.Errorf("%q %v", v, ok)
	}
}

func TestTLVsRefuseTooLong(t *testing.T) {
	var e *Error
	before := TLVs{1, 2, 0, 0}
	got, err := before.Append(TagMessagePayload, make([]byte, 65536))
	if !errors.As(err, &e) || e.Status != ESME_RINVPARLEN || !bytes.Equal(got, before) {
		t.Errorf("%v %v", got, err)
	}
	got, err = before.AppendCString(TagReceiptedMessageID, make([]byte, 65535))
	if !errors.As(err, &e) || e.Status != ESME_RINVPARLEN || !bytes.Equal(got, before) {
		t.Errorf("%v %v", got, err)
	}
	got, err = TLVs(nil).Append(TagMessagePayload, make([]byte, 65535))
	if err != nil || len(got) != 65539 {
		t.Errorf("%d %v", len(got), err)
	}
}

// SMPP 3.4 §5.3.2.22: incomplete segmentation is none.
func TestSAR(t *testing.T) {
	if ref, total, seq, ok := sar(513, 3, 2).SAR(); !ok || ref != 513 || total != 3 || seq != 2 {
		t.Error(ref, total, seq, ok)
	}
	for _, tlvs := range []TLVs{nil, sar(1, 2, 3), sar(1, 2, 0), sar(1, 2, 1)[:11], sar(1, 2, 1)[6:]} {
		if ref, total, seq, ok := tlvs.SAR(); ok || ref != 0 || total != 0 || seq != 0 {
			t.Errorf("%x: %d %d %d", []byte(tlvs), ref, total, seq)
		}
	}
}
