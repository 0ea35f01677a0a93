package actor

import "time"

const (
	climbWindow = 100 * time.Millisecond // shortest time that a rate is taken over
	climbStep   = 1.4                    // of one move
	climbMargin = 0.05                   // changes of the rate within it say nothing
	climbRest   = 20                     // windows without a move after a move that hurt
	climbCalls  = 256                    // a rate is taken over as many calls as there may be at once, or so many

	// A function that takes slowMessage for a message at best most often waits
	// for something itself: it begins with all the calls it can get, and with
	// fewer only where that does good.
	slowMessage = 10 * time.Millisecond
	forgetAfter = 30 * time.Second
)

// climber finds how many calls at once bring the most messages through an
// endpoint, by trying: it moves the limit, compares the rates before and
// after, and goes on or turns back. Between limits that do equally well it
// prefers the lower one, since messages that wait share a call with others
// for their address. It decides only while calls wait for the limit.
type climber struct {
	limit, low, start, high int

	slow     bool
	down     bool
	began    time.Time
	messages int
	calls    int
	rate     float64 // of the window before; zero: none
	rest     int

	fastest time.Duration // a message's share of a call, at best
	noted   time.Time     // when fastest was begun anew
}

// newClimber begins at start and stays within low and high.
func newClimber(low, start, high int) climber {
	start = min(start, high)
	return climber{limit: start, low: min(low, high), start: start, high: high}
}

// done counts a call that has ended. waiting says that others wait for its
// place.
func (c *climber) done(now time.Time, r CallResult, waiting bool) {
	each := r.Took / time.Duration(max(r.Messages, 1))
	if c.fastest == 0 || each < c.fastest || now.Sub(c.noted) > forgetAfter {
		c.fastest, c.noted = each, now
	}
	slow := c.fastest >= slowMessage
	if slow != c.slow {
		c.slow = slow
		c.limit, c.began, c.rate = c.start, time.Time{}, 0
		if slow {
			c.limit = c.high
		}
	}
	if !waiting {
		c.began, c.rate = time.Time{}, 0
		return
	}
	if c.began.IsZero() {
		c.began, c.messages, c.calls = now, 0, 0
		return
	}
	c.messages += r.Messages
	c.calls++
	took := now.Sub(c.began)
	if took < climbWindow || c.calls < min(c.limit, climbCalls) {
		return
	}
	rate := float64(c.messages) / took.Seconds()
	c.began, c.messages, c.calls = now, 0, 0
	c.decide(rate)
}

func (c *climber) decide(rate float64) {
	before := c.rate
	c.rate = rate
	if c.rest > 0 {
		c.rest--
		return
	}
	switch {
	case before == 0:
	case rate < before*(1-climbMargin):
		c.down = !c.down
		c.rest = climbRest
	case rate < before*(1+climbMargin):
		c.down = true
	}
	if c.down {
		c.limit = max(c.low, int(float64(c.limit)/climbStep))
	} else {
		c.limit = min(c.high, int(float64(c.limit)*climbStep)+1)
	}
}
