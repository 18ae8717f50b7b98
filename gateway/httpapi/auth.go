package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"
)

// Rates of failed logins, per address, and how many addresses are remembered.
const (
	failuresBurst  = 10
	failuresPerMin = 10
	bucketsMost    = 10_000

	strangersPerSec = 5
	strangersBurst  = 100
)

// keyring is who may call, as configured. It is immutable; a reload makes another.
type keyring struct {
	keys   []Key
	sums   [][32]byte
	secret []byte
	rate   int
}

func newKeyring(c Config) *keyring {
	r := &keyring{keys: c.Keys, secret: []byte(c.Secret), rate: c.Rate}
	for i := range c.Keys {
		sum, _ := c.Keys[i].sum() // the pattern of the field was checked
		r.sums = append(r.sums, sum)
	}
	return r
}

// find looks a presented key up. It takes the same time wherever the key stands,
// and whether or not it is one.
func (r *keyring) find(presented string) *Key {
	sum := sha256.Sum256([]byte(presented))
	at := -1
	for i := range r.sums {
		if subtle.ConstantTimeCompare(sum[:], r.sums[i][:]) == 1 {
			at = i
		}
	}
	if at < 0 {
		return nil
	}
	return &r.keys[at]
}

// token is the entry point's own token: HMAC-SHA256 with the configured secret
// over flow/entry; "" without a secret (rule A1).
func (r *keyring) token(flow, entry string) string {
	if len(r.secret) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(flow + "/" + entry))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// opens tells whether what was presented is the token of the entry point.
func (r *keyring) opens(presented, flow, entry string) bool {
	token := r.token(flow, entry)
	return token != "" && subtle.ConstantTimeCompare([]byte(presented), []byte(token)) == 1
}

// Token is the token of an entry point of the Flow API; "" when the configuration
// has no secret.
func (s *Server) Token(flow, entry string) string { return s.ring.Load().token(flow, entry) }

// access is what an operation asks of its caller.
type access struct {
	scope Scope
	token bool // the entry point's token will do as well
}

// authenticated lets in who may call the operation.
func (s *Server) authenticated(ctx huma.Context, next func(huma.Context)) {
	need, _ := ctx.Operation().Metadata["access"].(access)
	x := exchangeOf(ctx.Context())
	refuse := func(p *Problem) {
		p.Instance = x.instance()
		for name, values := range p.header {
			ctx.SetHeader(name, values[0])
		}
		ctx.SetHeader("Content-Type", problemType)
		ctx.SetStatus(p.Status)
		_ = s.api.Marshal(ctx.BodyWriter(), problemType, p)
	}
	ring := s.ring.Load()
	scheme, presented, _ := strings.Cut(ctx.Header("Authorization"), " ")
	presented = strings.TrimSpace(presented)
	if !strings.EqualFold(scheme, "bearer") || presented == "" {
		refuse(unauthorised("give a key as Authorization: Bearer …", ""))
		return
	}
	if need.token && ring.opens(presented, ctx.Param("flow"), ctx.Param("entry")) {
		x.caller = "entry:" + ctx.Param("flow") + "/" + ctx.Param("entry")
	} else if key := ring.find(presented); key == nil {
		s.metrics.failures.Inc()
		if wait := s.failures.take(x.remote, failuresPerMin/60.0, failuresBurst, s.now()); wait > 0 {
			refuse(newProblem(http.StatusTooManyRequests, "too many wrong keys came from this address").again(wait))
			return
		}
		refuse(unauthorised("the key is not known", ` error="invalid_token"`))
		return
	} else if x.caller = "key:" + key.Name; !key.may(need.scope) {
		refuse(newProblem(http.StatusForbidden, "the key has no scope "+string(need.scope)))
		return
	}
	if wait := s.buckets.take(x.caller, float64(ring.rate), ring.rate, s.now()); wait > 0 {
		refuse(newProblem(http.StatusTooManyRequests, "too many requests with this key").again(wait))
		return
	}
	if !s.callers.enter(x.caller, max(1, cap(s.places)/2)) {
		refuse(newProblem(http.StatusServiceUnavailable, "too many requests with this key are being worked on").again(time.Second))
		return
	}
	defer func() { s.callers.leave(x.caller, x.octets) }()
	x.more = func(n int) bool { return s.callers.more(x.caller, n) }
	next(ctx)
}

// callers counts what is being worked on, by caller: one who sends its bodies
// slowly must not take the places of all others. What is made of a body takes many
// times its octets, so these are bounded too: each caller has half of them.
type callers struct {
	mu     sync.Mutex
	of     map[string]load
	octets int
}

// load is requests that are being worked on, and octets of their bodies.
type load struct{ requests, octets int }

func (c *callers) enter(name string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.of[name]
	if l.requests >= most {
		return false
	}
	if c.of == nil {
		c.of = map[string]load{}
	}
	c.of[name] = load{l.requests + 1, l.octets}
	return true
}

// more takes the octets of a body that came, of a request that entered.
func (c *callers) more(name string, octets int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.of[name]
	if l.octets+octets > maxOctets/2 || c.octets+octets > maxOctets {
		return false
	}
	c.octets += octets
	c.of[name] = load{l.requests, l.octets + octets}
	return true
}

func (c *callers) leave(name string, octets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.octets -= octets
	l := c.of[name]
	if c.of[name] = (load{l.requests - 1, l.octets - octets}); l.requests == 1 {
		delete(c.of, name)
	}
}

func unauthorised(detail, parameters string) *Problem {
	p := newProblem(http.StatusUnauthorized, detail)
	p.header = http.Header{"Www-Authenticate": {`Bearer realm="trunkline"` + parameters}} // RFC 6750 §3
	return p
}

// buckets is a bounded set of token buckets. When it is full those that were not
// used lately are forgotten, which fills them.
type buckets struct {
	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

func newBuckets() *buckets { return &buckets{young: map[string]*rate.Limiter{}} }

// take takes one token, or tells how long until there is one.
func (b *buckets) take(name string, perSecond float64, burst int, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.young[name]
	if l == nil {
		if l = b.old[name]; l == nil {
			l = rate.NewLimiter(rate.Limit(perSecond), burst)
		}
		if len(b.young) >= bucketsMost/2 {
			b.old, b.young = b.young, map[string]*rate.Limiter{}
		}
		b.young[name] = l
	}
	if l.Limit() != rate.Limit(perSecond) {
		l.SetLimitAt(now, rate.Limit(perSecond))
		l.SetBurstAt(now, burst)
	}
	r := l.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
