package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
)

// versionCommand is jetfn version.
type versionCommand struct {
	Output output `short:"o" default:"text" enum:"text,json" help:"Format: ${enum}."`
}

// build says what this program was made of.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
}

func buildOf() build {
	b := build{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Run prints the version.
func (v *versionCommand) Run(c console) error {
	b := buildOf()
	if v.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(b)
	}
	_, err := fmt.Fprintf(c.out, "jetfn %s (%s)\n", b.Version, b.Go)
	if err == nil && b.Revision != "" {
		_, err = fmt.Fprintf(c.out, "revision %s of %s\n", b.Revision, b.Time)
	}
	return err
}
