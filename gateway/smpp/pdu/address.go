package pdu

// TON is a type of number (SMPP 3.4 §5.2.5).
type TON byte

// The types of number.
const (
	TONUnknown          TON = 0
	TONInternational    TON = 1
	TONNational         TON = 2
	TONNetworkSpecific  TON = 3
	TONSubscriberNumber TON = 4
	TONAlphanumeric     TON = 5
	TONAbbreviated      TON = 6
)

// Valid reports whether the specification defines the value.
func (t TON) Valid() bool { return t <= TONAbbreviated }

// NPI is a numbering plan indicator (SMPP 3.4 §5.2.6).
type NPI byte

// The numbering plans.
const (
	NPIUnknown    NPI = 0
	NPIISDN       NPI = 1 // E.163/E.164
	NPIData       NPI = 3 // X.121
	NPITelex      NPI = 4 // F.69
	NPILandMobile NPI = 6 // E.212
	NPINational   NPI = 8
	NPIPrivate    NPI = 9
	NPIERMES      NPI = 10
	NPIInternet   NPI = 14
	NPIWAP        NPI = 18
)

// Valid reports whether the specification defines the value.
func (n NPI) Valid() bool {
	switch n {
	case NPIUnknown, NPIISDN, NPIData, NPITelex, NPILandMobile, NPINational, NPIPrivate,
		NPIERMES, NPIInternet, NPIWAP:
		return true
	}
	return false
}

// Address is a number or name with its type and plan. Addr is at most 20
// octets, in data_sm and alert_notification 64.
type Address struct {
	TON  TON
	NPI  NPI
	Addr []byte
}

// Sizes with NUL of the two kinds of address field.
const (
	addrSize     = 21 // SMPP 3.4 §5.2.8, §5.2.9
	longAddrSize = 65 // SMPP 3.4 §4.7.1, §4.12.1
)

// role names the three fields of an address and the statuses for them.
type role struct {
	ton, npi, addr          string
	badTON, badNPI, badAddr Status
}

var (
	source = role{"source_addr_ton", "source_addr_npi", "source_addr",
		ESME_RINVSRCTON, ESME_RINVSRCNPI, ESME_RINVSRCADR}
	dest = role{"dest_addr_ton", "dest_addr_npi", "destination_addr",
		ESME_RINVDSTTON, ESME_RINVDSTNPI, ESME_RINVDSTADR}
)

func (r *reader) address(as *role, size int) Address {
	return Address{
		TON:  TON(r.octet(as.ton)),
		NPI:  NPI(r.octet(as.npi)),
		Addr: r.cstring(as.addr, size, as.badAddr),
	}
}

func (w *writer) address(as *role, size int, a Address) {
	w.octet(byte(a.TON))
	w.octet(byte(a.NPI))
	w.cstring(as.addr, size, as.badAddr, a.Addr)
}
