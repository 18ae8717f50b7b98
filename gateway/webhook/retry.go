package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pauses between attempts within the edge.
const (
	firstPause    = 500 * time.Millisecond
	longestPause  = 8 * time.Second
	maxRetryAfter = 30 * time.Second // a server that wants more time is left to the caller
	maxAskedPause = 24 * time.Hour
)

// temporary says that another attempt may end better: after 5xx, 429, a timeout
// and what happens to connections (rule X9). A host that does not exist, a
// certificate that does not fit and any other 4xx stay what they are.
func (r *Response) temporary() bool {
	switch r.Err {
	case FailureStatus:
		return r.Status >= 500 || r.Status == http.StatusTooManyRequests
	case FailureTimeout, FailureConnection:
		return true
	case FailureDNS:
		return !r.absent
	}
	return false
}

// pause is how long to wait after n attempts, the last of which ended with r;
// false means that the edge does not wait so long. Full jitter: any time up to
// a bound that doubles (AWS Architecture Blog, "Exponential Backoff And
// Jitter"), added to what the server asks for.
func pause(r *Response, n int, jitter func(time.Duration) time.Duration) (time.Duration, bool) {
	if r.RetryAfter > maxRetryAfter {
		return 0, false
	}
	return r.RetryAfter + jitter(min(firstPause<<(n-1), longestPause)), true
}

// retryAfter reads the field of that name (RFC 9110 §10.2.3): seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if strings.Trim(text, "0123456789") == "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if limit := int64(maxAskedPause / time.Second); err != nil || n > limit {
			n = limit // more digits than a number holds
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxAskedPause)
}
