package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/jetfn/jetfn/internal/runtime"
)

// ErrUsage means that a configuration asks for what can't be.
var ErrUsage = errors.New("invalid configuration")

// The kinds of function.
const (
	FunctionEmbedded = "embedded"
	FunctionHTTP     = "http"
	FunctionNATS     = "nats"
)

// Config of a run.
type Config struct {
	Function   string        // one of the kinds
	Keys       int           // how many addresses get messages
	InFlight   int           // closed loop: messages published and not yet seen as records
	Rate       float64       // open loop: messages a second; zero: closed loop
	Payload    int           // bytes of a message
	Sync       runtime.Sync  // when the worker's server syncs
	Warmup     time.Duration // before the measuring
	Duration   time.Duration // of the measuring
	Partitions int           // zero: the worker's default
	Workers    int           // 1, the only number for now
	MaxPerTask int           // calls in flight; zero: the worker's default

	Data    string // new or empty directory for the data; empty: a temporary one
	Profile string // directory for profiles; empty: none are made
	// EgressMaxAge is how long records are kept; zero: the worker's default.
	EgressMaxAge time.Duration
	// Sample is how often a Sample is taken; zero: never.
	Sample time.Duration
	// NoLimits leaves the raw limits out.
	NoLimits bool
	// LimitDuration is how long each raw limit is measured.
	LimitDuration time.Duration

	Program  Program
	Version  string
	Progress io.Writer // nil: none
}

// Program is how to start this program again, for the children.
type Program struct {
	Path string // the executable
	Name string // argument zero; empty: the path
}

// check refuses what can't work.
func (c *Config) check() error {
	switch {
	case c.Function != FunctionEmbedded && c.Function != FunctionHTTP && c.Function != FunctionNATS:
		return fmt.Errorf("%w: --function must be embedded, http or nats, is %q", ErrUsage, c.Function)
	case !slices.Contains(runtime.Syncs(), c.Sync):
		return fmt.Errorf("%w: --sync must be one of %v, is %q", ErrUsage, runtime.Syncs(), c.Sync)
	case c.Workers != 1:
		return fmt.Errorf("%w: --workers %d is not supported yet, only 1 is", ErrUsage, c.Workers)
	case c.Keys < 1:
		return fmt.Errorf("%w: --keys must be at least 1", ErrUsage)
	case c.Rate < 0 || c.Rate == 0 && c.InFlight < 1:
		return fmt.Errorf("%w: --inflight must be at least 1, or --rate positive", ErrUsage)
	case c.Payload < MinPayload:
		return fmt.Errorf("%w: --payload must be at least %d", ErrUsage, MinPayload)
	case c.Duration <= 0 || c.Warmup < 0 || c.Sample < 0 || c.EgressMaxAge < 0 || !c.NoLimits && c.LimitDuration <= 0:
		return fmt.Errorf("%w: durations must be positive", ErrUsage)
	}
	return c.checkData()
}

// checkData refuses a directory that holds something: it could be that of an
// application, which would get the messages.
func (c *Config) checkData() error {
	if c.Data == "" {
		return nil
	}
	entries, err := os.ReadDir(c.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: --data: %w", ErrUsage, err)
	case len(entries) > 0:
		return fmt.Errorf("%w: --data %s is not empty", ErrUsage, c.Data)
	}
	return nil
}
