package module_test

import (
	"testing"
	"time"

	"github.com/jetfn/jetfn/internal/module"
)

func TestDurationsAreWrittenAsInFlink(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"5": 5 * time.Millisecond, "5 s": 5 * time.Second, "2MIN": 2 * time.Minute, "1 day": 24 * time.Hour, "3h": 3 * time.Hour,
		"7µs": 7 * time.Microsecond, "7 micros": 7 * time.Microsecond, "9 nanos": 9, " 1 second ": time.Second, "0": 0, "4 m": 4 * time.Minute,
	} {
		if got, err := module.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "-1s", "1.5s", "PT5S", "5us", "1h 3min", "99999999999999999999s", "999999999999 d", "5 fortnights"} {
		if got, err := module.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}
