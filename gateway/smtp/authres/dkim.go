package authres

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// headerMost is how much of a mail is kept before it is known whether it is signed.
const headerMost = 1 << 20

// signed follows a mail as it comes. One that bears no signature costs a look at its
// header; the others are hashed beside their reception.
type signed struct {
	lookup func(name string) ([]string, error)
	header []byte         // until it is complete
	pipe   *io.PipeWriter // nil: nobody hashes
	passed bool           // the header is complete
	ended  bool
	done   chan struct{}
	found  []*dkim.Verification
	err    error
}

func newSigned(lookup func(string) ([]string, error)) *signed {
	return &signed{lookup: lookup}
}

// write takes octets of the mail.
func (s *signed) write(b []byte) {
	switch {
	case s.ended:
	case s.pipe != nil:
		_, _ = s.pipe.Write(b) // fails when nothing more is wanted
	case !s.passed:
		before := max(0, len(s.header)-3)
		s.header = append(s.header, b...)
		if bytes.Contains(s.header[before:], []byte("\r\n\r\n")) || len(s.header) > headerMost {
			s.begin()
		}
	}
}

// begin looks whether the mail is signed, and lets it be hashed then.
func (s *signed) begin() {
	s.passed = true
	head := s.header
	s.header = nil
	if !bytes.Contains(bytes.ToLower(head), []byte("dkim-signature:")) {
		return
	}
	r, w := io.Pipe()
	s.pipe, s.done = w, make(chan struct{})
	go func() {
		defer close(s.done)
		defer func() {
			if fault := recover(); fault != nil { // the daemon must not end by a strange signature
				s.found, s.err = nil, fmt.Errorf("a fault: %v", fault)
			}
			_, _ = io.Copy(io.Discard, r)
		}()
		s.found, s.err = dkim.VerifyWithOptions(r, &dkim.VerifyOptions{LookupTXT: s.lookup, MaxVerifications: signaturesMost})
	}()
	_, _ = w.Write(head)
}

// end is the end of the mail.
func (s *signed) end() {
	if s.ended {
		return
	}
	if !s.passed {
		s.begin()
	}
	s.ended = true
	if s.pipe != nil {
		_ = s.pipe.Close() // never with an error: the verifier would leave goroutines behind
	}
}

// result is that of all signatures, and the domains of those that are good.
func (s *signed) result() (result string, domains []string) {
	if s.pipe == nil {
		return None, nil
	}
	<-s.done
	result = None
	for _, v := range s.found {
		switch {
		case v.Err == nil:
			domains = append(domains, strings.ToLower(v.Domain))
			result = Pass
		case result == Pass:
		case dkim.IsTempFail(v.Err):
			result = TempError
		case result == TempError:
		case dkim.IsPermFail(v.Err) && result != Fail:
			result = PermError
		default:
			result = Fail
		}
	}
	if len(s.found) == 0 {
		result = PermError // the header can't be read as the signer did
	}
	return result, domains
}
