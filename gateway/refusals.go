package gateway

import (
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// refusalPause is the least time between two lines about the same reason.
const refusalPause = 10 * time.Second

// refusals logs what a listener refused, such that a flood of bad requests
// isn't one of log lines. What a client sent is not logged.
type refusals struct {
	log zerolog.Logger

	mu   sync.Mutex
	told map[string]*told
}

// told is what was said of one reason.
type told struct {
	last   time.Time
	silent int // refused since
}

func newRefusals(log zerolog.Logger) *refusals {
	return &refusals{log: log, told: map[string]*told{}}
}

// note takes notice of a problem, if it is of a kind that well-behaved
// clients don't meet.
func (f *refusals) note(client string, p *Problem) {
	switch reason := slug(strings.TrimPrefix(p.Type, problemPrefix)); reason {
	case unauthorized, notAllowed, tooLarge, busy, badAddress, badBody:
		f.tell(client, string(reason))
	default:
	}
}

// tell logs a refusal, unless one for the same reason was just logged.
func (f *refusals) tell(client, reason string) {
	silent, ok := f.due(reason, time.Now())
	if !ok {
		return
	}
	if host, _, err := net.SplitHostPort(client); err == nil {
		client = host
	}
	f.log.Warn().Str("reason", reason).Str("client", client).Int("more", silent).Msg("request refused")
}

func (f *refusals) due(reason string, now time.Time) (silent int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.told[reason]
	if t == nil {
		t = &told{}
		f.told[reason] = t
	}
	if !t.last.IsZero() && now.Sub(t.last) < refusalPause {
		t.silent++
		return 0, false
	}
	silent, t.silent, t.last = t.silent, 0, now
	return silent, true
}
