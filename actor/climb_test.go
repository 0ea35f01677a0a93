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
		"as fast with one call as with many":        {time.Millisecond, func(int) float64 { return 20_000 }, 16, 90},
		"slower the more calls there are":           {time.Millisecond, func(n int) float64 { return 40_000 / (1 + float64(n)/100) }, 16, 64},
		"faster up to 500 calls":                    {5 * time.Millisecond, func(n int) float64 { return 200 * float64(min(n, 500)) }, 250, 1000},
		"waiting for something itself":              {50 * time.Millisecond, func(n int) float64 { return 20 * float64(n) }, 700, 1024},
		"slow, and slower the more calls there are": {30 * time.Millisecond, func(n int) float64 { return 400 / (1 + float64(n)/50) }, 16, 64},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClimber(16, 64, 1024)
			if got := serve(&c, tt.latency, tt.rate, 120); got < tt.low || got > tt.high {
				t.Errorf("limit after two minutes = %d, want %d to %d", got, tt.low, tt.high)
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

// brought is how many messages come through in two minutes under limits that
// are chosen by limit, which hears of every call. The endpoint's rate depends
// on the calls at once, and on the time.
func brought(rate func(n int, at time.Duration) float64, limit func() int, heard func(now time.Time, took time.Duration)) float64 {
	start := time.Unix(0, 0)
	now, sum := start, 0.0
	for now.Sub(start) < 2*time.Minute {
		n := limit()
		r := rate(n, now.Sub(start))
		now = now.Add(time.Duration(float64(time.Second) / r))
		sum++
		heard(now, time.Duration(float64(n)/r*float64(time.Second)))
	}
	return sum
}

func TestClimberDoesBetterThanFixedLimitsWhereAnEndpointSlowsDown(t *testing.T) {
	t.Parallel()
	// Each call takes a millisecond of a processor of the function's, of which
	// there are four, and the more calls the more of it is lost to changing
	// between them; after half a minute all gets ten times slower.
	busy := func(n int, at time.Duration) float64 {
		r := 1000 * float64(min(n, 4)) / (1 + float64(n)/100)
		if at > 30*time.Second {
			r /= 10
		}
		return r
	}
	waits := func(n int, _ time.Duration) float64 { return 20 * float64(n) }
	fixed := func(rate func(int, time.Duration) float64, n int) float64 {
		return brought(rate, func() int { return n }, func(time.Time, time.Duration) {})
	}
	adaptive := func(rate func(int, time.Duration) float64) float64 {
		c := newClimber(16, 64, 1024)
		return brought(rate, func() int { return c.limit }, func(now time.Time, took time.Duration) {
			c.done(now, CallResult{Messages: 1, Took: took}, true)
		})
	}
	ratios := map[string][2]float64{ // and the least that they have to be
		"busy endpoint, to a fixed limit of 1024": {adaptive(busy) / fixed(busy, 1024), 5},
		"busy endpoint, to a fixed limit of 64":   {adaptive(busy) / fixed(busy, 64), 1.0},
		"busy endpoint, to the best fixed limit":  {adaptive(busy) / fixed(busy, 16), 0.8},
		"waiting one, to a fixed limit of 1024":   {adaptive(waits) / fixed(waits, 1024), 0.9},
		"waiting one, to a fixed limit of 64":     {adaptive(waits) / fixed(waits, 64), 10},
	}
	for name, r := range ratios {
		t.Logf("%s: %.2f", name, r[0])
		if r[0] < r[1] {
			t.Errorf("messages through a %s: %.2f, want %.2f", name, r[0], r[1])
		}
	}
}
