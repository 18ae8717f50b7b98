package host

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Forwarding is the section `voice.forwarding:`: the rules for calls that we make.
type Forwarding struct {
	Blocked   []string `yaml:"blocked" max:"1000" doc:"First digits of numbers that are never called, besides those that are blocked by default: satellite and international shared-cost networks, and premium numbers of many countries."`
	Allowed   []string `yaml:"allowed" max:"1000" doc:"First digits of numbers that are called although shorter ones are blocked, such as 882."`
	MaxCalls  int      `yaml:"max_calls" default:"1000" min:"1" max:"100000" doc:"Calls that we make, at once."`
	MaxPair   int      `yaml:"max_calls_of_pair" default:"3" min:"1" max:"1000" doc:"Calls at once from one caller to one number: a call that comes back in a loop ends here."`
	DayCalls  int      `yaml:"calls_per_day" default:"0" min:"0" doc:"Calls that a flow may make on one day (UTC); 0: any number."`
	DayMoney  []Amount `yaml:"money_per_day" max:"20" doc:"What the calls of a flow may cost on one day (UTC), such as 100 EUR, once per currency. When it is spent no call begins, and a call that stands is ended."`
	NeedPrice bool     `yaml:"need_price" default:"false" doc:"Refuse numbers for which no tariff tells a price. With money_per_day they are refused anyhow."`
}

// Amount is a sum of money.
type Amount struct {
	Millionths int64
	Currency   string
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Amount) UnmarshalText(text []byte) error {
	number, currency, ok := strings.Cut(strings.TrimSpace(string(text)), " ")
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole+(fraction + "000000")[:max(6, len(fraction))], 10, 62)
	if !ok || err != nil || len(fraction) > 6 || whole == "" || len(currency) != 3 || strings.ToUpper(currency) != currency {
		return fmt.Errorf("%q is no sum: an amount and a currency such as 100.50 EUR are expected", text)
	}
	a.Millionths, a.Currency = int64(n), currency
	return nil
}

// String is the amount as it is configured.
func (a Amount) String() string {
	text := strconv.FormatInt(a.Millionths/1_000_000, 10)
	if rest := a.Millionths % 1_000_000; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
	}
	return text + " " + a.Currency
}

// Rate is what a number costs (rule C3), in millionths of its currency.
type Rate struct {
	PerMinute, Setup   int64
	Minimum, Increment time.Duration
	Currency           string
}

// Prices tells the rate of a number.
type Prices func(to string, at time.Time) (Rate, bool)

// cost is that of a talk, rounded up.
func (r *Rate) cost(talk time.Duration) int64 {
	step := max(r.Increment, time.Second)
	seconds := int64((max(talk, 0)+step-1)/step) * int64(step/time.Second)
	seconds = max(seconds, int64(r.Minimum/time.Second))
	return (r.PerMinute*seconds+59)/60 + r.Setup
}

// blockedByDefault are numbers that fraud likes, because calls to them pay whoever
// owns them. Sources: ITU-T E.164 list of assigned country codes (870 Inmarsat, 881
// satellite networks, 882 and 883 international networks, 878 and 979 international
// services), and the premium and shared-cost ranges of national numbering plans.
var blockedByDefault = []string{
	"870", "878", "881", "882", "883", "979", // networks without a country
	"1900", "1976", "1242976", "1809976", // North America
	"449", "44871", "44872", "44873", // United Kingdom
	"49900", "49137", "49118", // Germany
	"43900", "43901", "43930", "43931", "43939", // Austria
	"41900", "41901", "41906", // Switzerland
	"3389", "33118", // France
	"39892", "39894", "39895", "39899", // Italy
	"34803", "34806", "34807", "34905", "34907", // Spain
	"3190", "3290", // Netherlands, Belgium
	"38560", "38561", "38569", // Croatia
	"38690", "38189", "38190", "38790", // Slovenia, Serbia, Bosnia and Herzegovina
	"4670", "4871", "4899", // Sweden's personal numbers, Poland
	"36690", "42090", "421900", "40900", "35990", // Hungary, Czechia, Slovakia, Romania, Bulgaria
	"61190", "64900", // Australia, New Zealand
}

// chargeBlock is for how long money is reserved at a time, chargeAhead how long
// before its end more is.
const (
	chargeBlock = time.Minute
	chargeAhead = 2 * time.Second
)

// policy decides what may be dialled. It is safe for concurrent use.
type policy struct {
	mu    sync.Mutex
	rules Forwarding
	calls int
	pairs map[[2]string]int
	day   string // of spent and begun
	spent map[account]int64
	begun map[string]int // calls by flow
}

type account struct{ flow, currency string }

func newPolicy(f Forwarding) *policy {
	return &policy{rules: f, pairs: map[[2]string]int{}, spent: map[account]int64{}, begun: map[string]int{}}
}

func (p *policy) reload(f Forwarding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = f
}

// restore counts a call of today that was made before this start.
func (p *policy) restore(at time.Time, flow, currency string, cost int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.today(time.Now()); at.UTC().Format(time.DateOnly) == p.day {
		p.begun[flow]++
		p.spent[account{flow, currency}] += cost
	}
}

// today begins a new day when it has come. What is reserved by then counts for
// the day on which it was reserved.
func (p *policy) today(now time.Time) {
	if day := now.UTC().Format(time.DateOnly); day != p.day {
		p.day = day
		clear(p.spent)
		clear(p.begun)
	}
}

// blocked finds the longest beginning of a number that says whether it may be called.
func (f *Forwarding) blocked(to string) bool {
	blocked := max(longest(blockedByDefault, to), longest(f.Blocked, to))
	return blocked > 0 && longest(f.Allowed, to) < blocked
}

func longest(beginnings []string, number string) (n int) {
	for _, b := range beginnings {
		if b = digits(b); strings.HasPrefix(number, b) {
			n = max(n, len(b))
		}
	}
	return n
}

// meter is the money of one call.
type meter struct {
	policy   *policy
	pair     [2]string
	flow     string
	rate     Rate
	limit    int64 // a day; -1: none
	day      string
	reserved int64
	covered  time.Duration // of talk, that is reserved for
}

// admit lets a call begin, or says why not.
func (p *policy) admit(flow, from, to string, rate Rate, known bool, now time.Time) (*meter, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.today(now)
	m := &meter{policy: p, pair: [2]string{from, to}, flow: flow, rate: rate, limit: -1, day: p.day}
	for _, a := range p.rules.DayMoney {
		if a.Currency == rate.Currency {
			m.limit = a.Millionths
		}
	}
	switch {
	case p.rules.blocked(to):
		return nil, codeBlocked
	case p.calls >= p.rules.MaxCalls || p.rules.DayCalls > 0 && p.begun[flow] >= p.rules.DayCalls:
		return nil, codeCalls
	case p.pairs[m.pair] >= p.rules.MaxPair:
		return nil, codeLoop
	case !known && (p.rules.NeedPrice || len(p.rules.DayMoney) > 0), len(p.rules.DayMoney) > 0 && m.limit < 0:
		return nil, codeMoney // a price that is not known, or in a currency without a limit, can't be kept to
	case m.limit >= 0 && !m.cover(max(rate.Minimum, chargeBlock)) && !m.cover(max(rate.Minimum, rate.Increment, time.Second)):
		return nil, codeMoney
	}
	p.calls++
	p.pairs[m.pair]++
	p.begun[flow]++
	return m, ""
}

// cover reserves money for so long a talk; the policy is locked.
func (m *meter) cover(talk time.Duration) bool {
	more := m.rate.cost(talk) - m.reserved
	a := account{m.flow, m.rate.Currency}
	if m.day != m.policy.day { // the day has ended: what comes now is of the next one
		m.day, m.reserved = m.policy.day, 0
		more = m.rate.cost(talk) - m.rate.cost(m.covered)
	}
	if m.policy.spent[a]+more > m.limit {
		return false
	}
	m.policy.spent[a] += more
	m.reserved += more
	m.covered = talk
	return true
}

// extend reserves for a longer talk: a block, or what is left for.
func (m *meter) extend(now time.Time) bool {
	if m.limit < 0 {
		return true
	}
	m.policy.mu.Lock()
	defer m.policy.mu.Unlock()
	m.policy.today(now)
	for _, more := range [...]time.Duration{chargeBlock, chargeBlock / 4, max(m.rate.Increment, chargeAhead)} {
		if m.cover(m.covered + more) {
			return true
		}
	}
	return false
}

// settle ends a call that was admitted: what was reserved and not used is free
// again. talk is negative for one that was not answered.
func (p *policy) settle(m *meter, talk time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls--
	if p.pairs[m.pair]--; p.pairs[m.pair] <= 0 {
		delete(p.pairs, m.pair)
	}
	if m.limit < 0 || m.day != p.day {
		return
	}
	used := int64(0)
	if talk >= 0 {
		used = m.rate.cost(talk)
	}
	p.spent[account{m.flow, m.rate.Currency}] += min(used, m.reserved) - m.reserved
}
