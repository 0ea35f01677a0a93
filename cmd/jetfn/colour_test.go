package main

import "testing"

func TestColoursAreForTerminalsWhoseUserWantsThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		terminal bool
		env      map[string]string
		want     bool
	}{
		"a terminal":      {true, map[string]string{"TERM": "xterm"}, true},
		"a file":          {false, map[string]string{"TERM": "xterm"}, false},
		"NO_COLOR":        {true, map[string]string{"NO_COLOR": "1"}, false},
		"empty NO_COLOR":  {true, map[string]string{"NO_COLOR": ""}, true},
		"a dumb terminal": {true, map[string]string{"TERM": "dumb"}, false},
	} {
		if got := wantsColour(c.terminal, func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: wantsColour = %v, want %v", name, got, c.want)
		}
	}
}
