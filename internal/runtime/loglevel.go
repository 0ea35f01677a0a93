package runtime

import (
	"fmt"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/gateway"
)

// logLevel decides what is logged, and can be changed at any time. It is safe
// for many goroutines.
type logLevel struct{ least atomic.Int32 }

var (
	_ zerolog.Sampler  = (*logLevel)(nil)
	_ gateway.LogLevel = (*logLevel)(nil)
)

// adjustable returns a log like l whose level can be changed, also for what is
// derived from it.
func adjustable(l zerolog.Logger) (zerolog.Logger, *logLevel) {
	level := &logLevel{}
	level.least.Store(int32(l.GetLevel()))
	return l.Level(zerolog.TraceLevel).Sample(level), level
}

// Sample implements zerolog.Sampler.
func (l *logLevel) Sample(of zerolog.Level) bool { return int32(of) >= l.least.Load() }

// Level implements gateway.LogLevel.
func (l *logLevel) Level() string { return zerolog.Level(l.least.Load()).String() }

// SetLevel implements gateway.LogLevel.
func (l *logLevel) SetLevel(name string) error {
	level, err := zerolog.ParseLevel(name)
	if err != nil || level < zerolog.TraceLevel || level > zerolog.ErrorLevel || name == "" {
		return fmt.Errorf("%w %q", gateway.ErrLevel, name)
	}
	l.least.Store(int32(level))
	return nil
}
