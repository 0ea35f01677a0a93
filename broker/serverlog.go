package broker

import (
	"fmt"
	"strings"
	"sync"

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
	l.log.Error().Msg(text)
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
	l.log.Warn().Msgf(format, v...)
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
