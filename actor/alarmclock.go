package actor

import "time"

// alarmClock calls a function at a time that is set again and again. It
// belongs to one goroutine.
type alarmClock struct {
	begun time.Time
	timer *time.Timer
	at    int64
}

func newAlarmClock(begun time.Time, ring func()) *alarmClock {
	c := &alarmClock{begun: begun, timer: time.AfterFunc(time.Hour, ring)}
	c.timer.Stop()
	return c
}

// set has it ring so many milliseconds after it has begun, and no more at the
// time before. It rings earlier where that is far away: a process may stand
// still, and somebody has to notice.
func (c *alarmClock) set(at int64) {
	now := time.Since(c.begun).Milliseconds()
	at = min(at, now+(stallLimit/2).Milliseconds())
	left := time.Duration(at-now) * time.Millisecond
	if at == c.at && left > 0 { // it will
		return
	}
	c.at = at
	c.timer.Reset(max(left, 0))
}

func (c *alarmClock) stop() { c.timer.Stop() }
