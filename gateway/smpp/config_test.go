package smpp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trunkline/gateway/smpp/pdu"
)

// testConfig and testCarrier have what the defaults of the tags would set.
func testConfig() Config {
	return Config{
		MaxConnections: 100, MaxConnectionsPerAddress: 100, MaxPDU: 65536, SessionInit: 5 * time.Second,
		DrainTimeout: 5 * time.Second, Queue: 1000, SystemID: "trunkline",
		Listen: []Listener{{Address: "127.0.0.1:0"}},
	}
}

func testCarrier(name string) Carrier {
	return Carrier{
		Name: name, SystemID: name, Password: "secret", Bind: Transceiver, Binds: 1, Window: 10, WindowIn: 100,
		Timers: Timers{EnquireLink: 30 * time.Second, Response: 10 * time.Second, Late: time.Minute,
			Connect: 5 * time.Second, Reconnect: 10 * time.Millisecond, ReconnectTo: 50 * time.Millisecond},
		Alphabet: GSM7, Concat: UDH16, ReceiptID: IDAuto, Validity: 48 * time.Hour,
	}
}

func bindsIn(name string) Carrier {
	c := testCarrier(name)
	c.Accept = &Accept{MaxBinds: 4}
	return c
}

func bindsOut(name string, addrs ...string) Carrier {
	c := testCarrier(name)
	c.Connect = addrs
	return c
}

func TestValidate(t *testing.T) {
	cfg := testConfig()
	if err := validateSet(&cfg, []Carrier{bindsIn("a"), bindsOut("b", "smsc:2775")}); err != nil {
		t.Fatalf("a good set: %v", err)
	}
	bad := 9
	for _, tt := range []struct {
		want   string
		change func(*Carrier)
	}{
		{"carrier:", func(c *Carrier) { c.Name = "Acme" }},
		{"connect:", func(c *Carrier) { c.Accept = nil }},
		{"accept:", func(c *Carrier) { c.Connect = []string{"h:1"} }},
		{"connect[0]:", func(c *Carrier) { c.Accept, c.Connect = nil, []string{"smsc"} }},
		{"connect[0]:", func(c *Carrier) { c.Accept, c.Connect = nil, []string{":2775"} }},
		{"connect[0]:", func(c *Carrier) { c.Accept, c.Connect = nil, []string{"h:99999"} }},
		{"system_id:", func(c *Carrier) { c.SystemID = strings.Repeat("x", 16) }},
		{"system_id:", func(c *Carrier) { c.SystemID = "" }},
		{"password:", func(c *Carrier) { c.Password = "123456789" }},
		{"password:", func(c *Carrier) { c.Password = "" }},
		{"bind:", func(c *Carrier) { c.Bind = "both" }},
		{"binds:", func(c *Carrier) { c.Binds = 0 }},
		{"window:", func(c *Carrier) { c.Window = 0 }},
		{"window_in:", func(c *Carrier) { c.WindowIn = 0 }},
		{"rate.out:", func(c *Carrier) { c.Rate.Out = -1 }},
		{"tls:", func(c *Carrier) { c.TLS = &TLS{} }},
		{"outbind:", func(c *Carrier) { c.Outbind = &Outbind{SystemID: "x"} }},
		{"accept.max_binds:", func(c *Carrier) { c.Accept = &Accept{} }},
		{"timers.late_response:", func(c *Carrier) { c.Timers.Late = time.Second }},
		{"timers.reconnect_max:", func(c *Carrier) { c.Timers.ReconnectTo = time.Millisecond }},
		{"default_validity:", func(c *Carrier) { c.Validity = 0 }},
		{"alphabet:", func(c *Carrier) { c.Alphabet = "koi8" }},
		{"concatenation:", func(c *Carrier) { c.Concat = "udh" }},
		{"receipt_id:", func(c *Carrier) { c.ReceiptID = "octal" }},
		{"source.ton:", func(c *Carrier) { c.Source.TON = &bad }},
		{"dest.ton:", func(c *Carrier) { c.Dest.TON = &bad }},
		{"routes[1].prefix:", func(c *Carrier) { c.Routes = []Route{{}, {Prefix: "38x"}} }},
		{"routes[0].cost:", func(c *Carrier) { c.Routes = []Route{{Cost: -1}} }},
		{"senders[0].prefix:", func(c *Carrier) { c.Senders = []SenderRule{{Prefix: "x"}} }},
		{"senders[0].replace:", func(c *Carrier) { c.Senders = []SenderRule{{Replace: strings.Repeat("x", 21)}} }},
		{`errors.retry[0]: "ESME_RTHROTLED" is no command_status; write its name such as ESME_RTHROTTLED or a number such as 0x58 (did you mean "ESME_RTHROTTLED"?)`,
			func(c *Carrier) { c.Errors.Retry = []string{"ESME_RTHROTLED"} }},
		{"errors.give_up[0]:", func(c *Carrier) { c.Errors = Classes{Retry: []string{"0x58"}, GiveUp: []string{"RTHROTTLED"}} }},
	} {
		c := bindsIn("acme")
		tt.change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want a fault at %s got %v", tt.want, err)
			continue
		}
		var fe *FieldError
		if !errors.As(err, &fe) {
			t.Errorf("%v is no FieldError", err)
		}
		if strings.Contains(err.Error(), "123456789") {
			t.Errorf("the password stands in %v", err)
		}
	}
}

func TestValidateSet(t *testing.T) {
	cfg := testConfig()
	cfg.Listen = nil
	cfg.MaxPDU = 10
	twin := bindsIn("a")
	err := validateSet(&cfg, []Carrier{bindsIn("a"), twin})
	for _, want := range []string{"max_pdu", "the name is taken", "would not tell which", "listen names no address"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %q in %v", want, err)
		}
	}
	cfg = testConfig()
	cfg.Listen = []Listener{{Address: "nowhere", TLS: &TLS{}}}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "listen[0].tls") || !strings.Contains(err.Error(), "listen[0].address") {
		t.Errorf("listener: %v", err)
	}
}

func TestClasses(t *testing.T) {
	table, errs := newClassTable(&Classes{
		Retry: []string{"ESME_RSYSERR"}, Other: []string{"ESME_RMSGQFUL", "0x0B"}, GiveUp: []string{"0x400"},
	})
	if errs != nil {
		t.Fatal(errs)
	}
	for s, want := range map[pdu.Status]class{
		pdu.ESME_RTHROTTLED: classThrottle, pdu.ESME_RMSGQFUL: classOther, pdu.ESME_RSYSERR: classRetry,
		pdu.ESME_RX_T_APPN: classRetry, pdu.ESME_RINVDSTADR: classOther, 0x400: classGiveUp, 0x401: classOther,
		pdu.ESME_RSUBMITFAIL: classOther, pdu.ESME_RX_P_APPN: classGiveUp,
	} {
		if got := table.of(s); got != want {
			t.Errorf("%s is of class %d, not %d", s, got, want)
		}
	}
}
