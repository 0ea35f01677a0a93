package module

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration as Flink writes them: digits, an optional
// space, and a unit in any case; without a unit they are milliseconds. There
// are no fractions, signs or compounds.
func ParseDuration(s string) (time.Duration, error) {
	trimmed := strings.TrimSpace(s)
	end := 0
	for end < len(trimmed) && '0' <= trimmed[end] && trimmed[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, fmt.Errorf("%q is no duration: it must begin with digits, such as 30s or 500 ms", s)
	}
	n, err := strconv.ParseInt(trimmed[:end], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: the number is too large", s)
	}
	label := strings.ToLower(strings.TrimSpace(trimmed[end:]))
	unit, err := durationUnit(label)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: %w", s, err)
	}
	if n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is no duration: it is longer than 292 years", s)
	}
	return time.Duration(n) * unit, nil
}

func durationUnit(label string) (time.Duration, error) {
	switch label {
	case "d", "day", "days":
		return 24 * time.Hour, nil
	case "h", "hour", "hours":
		return time.Hour, nil
	case "min", "m", "minute", "minutes":
		return time.Minute, nil
	case "s", "sec", "secs", "second", "seconds":
		return time.Second, nil
	case "", "ms", "milli", "millis", "millisecond", "milliseconds":
		return time.Millisecond, nil
	case "µs", "μs", "micro", "micros", "microsecond", "microseconds":
		return time.Microsecond, nil
	case "ns", "nano", "nanos", "nanosecond", "nanoseconds":
		return time.Nanosecond, nil
	case "us":
		return 0, errors.New("unit \"us\" is written µs or micros")
	}
	return 0, fmt.Errorf("unknown unit %q, use one of d, h, min, s, ms, µs, ns", label)
}

// durationForm is what ParseDuration takes, as a pattern.
const durationForm = `^\s*[0-9]+\s*([dD]|[dD][aA][yY][sS]?|[hH]|[hH][oO][uU][rR][sS]?|[mM]|[mM][iI][nN]|[mM][iI][nN][uU][tT][eE][sS]?` +
	`|[sS]|[sS][eE][cC][sS]?|[sS][eE][cC][oO][nN][dD][sS]?|[mM][sS]|[mM][iI][lL][lL][iI][sS]?|[mM][iI][lL][lL][iI][sS][eE][cC][oO][nN][dD][sS]?` +
	`|[µμ][sS]|[mM][iI][cC][rR][oO][sS]?|[mM][iI][cC][rR][oO][sS][eE][cC][oO][nN][dD][sS]?` +
	`|[nN][sS]|[nN][aA][nN][oO][sS]?|[nN][aA][nN][oO][sS][eE][cC][oO][nN][dD][sS]?)?\s*$`

// FormatDuration writes d as ParseDuration reads it, in the largest unit that
// has no fraction.
func FormatDuration(d time.Duration) string {
	for _, u := range []struct {
		length time.Duration
		label  string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= u.length && d%u.length == 0 {
			return strconv.FormatInt(int64(d/u.length), 10) + u.label
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}
