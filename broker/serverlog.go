package broker

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// serverLog takes the server's log lines over into zerolog, one level lower
// than the server has them, and notices its fatal errors: the log is the only
// place where the server tells them.
type serverLog struct {
	log    zerolog.Logger
	failed chan error // holds the first write error

	mu    sync.Mutex
	fatal string
	told  map[string]*toldLine // by what provoked
}

// toldLine is when a line was last logged, and how often it was not since.
type toldLine struct {
	last   time.Time
	silent int
}

// linePause is the least time between two lines of one kind that clients can
// provoke as fast as they like.
const linePause = 10 * time.Second

// provocation is the kind of such a line: bad credentials, and what a client
// may not do. It is empty for other lines.
func provocation(text string) string {
	for _, mark := range []string{"authentication", "Authorization", "Violation", "TLS handshake", "Slow Consumer", "maximum connections"} {
		if strings.Contains(text, mark) {
			return mark
		}
	}
	return ""
}

// writeErrorMark is in the log line that follows a write that the disk
// refused. The stream takes no more messages then, until the server's restart,
// and answers nobody.
const writeErrorMark = "critical write error"

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Trace().Msgf(format, v...) }

// Errorf also reports a stream that can't be written any more.
func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.tell(l.log.Error(), text)
	if !strings.Contains(text, writeErrorMark) {
		return
	}
	select {
	case l.failed <- fmt.Errorf("the NATS server can't write its data any more: %s; free disk space and start again", text):
	default: // the first one is enough
	}
}

// Warnf drops the advice to hash passwords: ours is random and lives as long
// as the process.
func (l *serverLog) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords") {
		return
	}
	l.tell(l.log.Warn(), fmt.Sprintf(format, v...))
}

// tell logs a line, unless it is one of a flood.
func (l *serverLog) tell(event *zerolog.Event, text string) {
	mark := provocation(text)
	if mark == "" {
		event.Msg(text)
		return
	}
	if silent, ok := l.due(mark, time.Now()); ok {
		event.Int("more", silent).Msg(text)
	}
}

// due reports whether a line of a kind may be logged now, and how many were
// not before it.
func (l *serverLog) due(kind string, now time.Time) (silent int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = map[string]*toldLine{}
	}
	t := l.told[kind]
	if t == nil {
		t = &toldLine{}
		l.told[kind] = t
	}
	if !t.last.IsZero() && now.Sub(t.last) < linePause {
		t.silent++
		return 0, false
	}
	silent, t.silent, t.last = t.silent, 0, now
	return silent, true
}

// Fatalf is what the server calls when it can't go on. It must not end the
// process.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error().Msgf(format, v...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == "" {
		l.fatal = fmt.Sprintf(format, v...)
	}
}

// died returns the fatal error, empty if there was none.
func (l *serverLog) died() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
