package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule knows the times of ticks.
type Schedule struct {
	text string
	next cron.Schedule
}

// Parse reads a schedule: five fields (minute, hour, day of month, month, day
// of week), "@every 90s", or "@hourly" and the like. "CRON_TZ=Europe/Berlin "
// before it names the time zone; the default is UTC.
func Parse(text string) (Schedule, error) {
	spec := strings.TrimSpace(text)
	zoned := strings.HasPrefix(spec, "CRON_TZ=") || strings.HasPrefix(spec, "TZ=")
	every, constant := strings.CutPrefix(spec, "@every ")
	if !zoned && !constant {
		spec = "CRON_TZ=UTC " + spec
	}
	s, err := cron.ParseStandard(spec)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q is no schedule: %w", text, err)
	}
	if constant {
		if d, err := time.ParseDuration(strings.TrimSpace(every)); err == nil && (d < time.Second || d%time.Second != 0) {
			return Schedule{}, fmt.Errorf("%q is no schedule: @every takes whole seconds, one at least", text)
		}
	}
	if s.Next(time.Unix(0, 0)).IsZero() {
		return Schedule{}, fmt.Errorf("%q is no schedule: %w", text, errNever)
	}
	return Schedule{text: text, next: s}, nil
}

var errNever = errors.New("it has no tick within five years")

func (s Schedule) String() string { return s.text }

// Next is the first tick after t.
func (s Schedule) Next(t time.Time) time.Time { return s.next.Next(t) }

// newest is the last tick up to now, from first, which is one, on.
func (s Schedule) newest(first, now time.Time) time.Time {
	if every, ok := s.next.(cron.ConstantDelaySchedule); ok {
		return now.Add(-(now.Sub(first) % every.Delay))
	}
	for {
		next := s.next.Next(first)
		if next.IsZero() || next.After(now) {
			return first
		}
		first = next
	}
}
