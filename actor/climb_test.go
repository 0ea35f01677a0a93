package actor

import (
	"testing"
	"time"
)

// serve runs a function that brings rate(limit) messages a second, each
// taking latency, for a while and returns the limit at the end.
func serve(c *climber, latency time.Duration, rate func(limit int) float64, seconds int) int {
	now := time.Unix(0, 0)
	end := now.Add(time.Duration(seconds) * time.Second)
	for now.Before(end) {
		now = now.Add(time.Duration(float64(time.Second) / rate(c.limit)))
		c.done(now, CallResult{Messages: 1, Took: latency}, true)
	}
	return c.limit
}

func TestClimberFindsHowManyCallsDoGood(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		latency   time.Duration
		rate      func(limit int) float64
		low, high int // what is good
	}{
		"as fast with one call as with many": {time.Millisecond, func(int) float64 { return 20_000 }, 16, 90},
		"slower the more calls there are":    {time.Millisecond, func(n int) float64 { return 40_000 / (1 + float64(n)/100) }, 16, 64},
		"faster up to 500 calls":             {5 * time.Millisecond, func(n int) float64 { return 200 * float64(min(n, 500)) }, 250, 1000},
		"waiting for something itself":       {50 * time.Millisecond, func(n int) float64 { return 20 * float64(n) }, 1024, 1024},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClimber(16, 64, 1024)
			if got := serve(&c, tt.latency, tt.rate, 60); got < tt.low || got > tt.high {
				t.Errorf("limit after a minute = %d, want %d to %d", got, tt.low, tt.high)
			}
		})
	}
}

func TestClimberStandsStillWhileNothingWaits(t *testing.T) {
	t.Parallel()
	c := newClimber(16, 64, 1024)
	now := time.Unix(0, 0)
	for range 100_000 {
		now = now.Add(time.Millisecond)
		c.done(now, CallResult{Messages: 1, Took: time.Millisecond}, false)
	}
	if c.limit != 64 {
		t.Errorf("limit = %d, want 64", c.limit)
	}
}
