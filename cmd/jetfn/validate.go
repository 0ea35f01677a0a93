package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jetfn/jetfn/internal/module"
)

// validateCommand is jetfn validate.
type validateCommand struct {
	Files  []string `arg:"" name:"file" help:"Module files."`
	Output output   `short:"o" default:"text" enum:"text,json" help:"Format: ${enum}."`
}

// Run prints all problems of the files; it fails if one of them is an error.
func (v *validateCommand) Run(c console) error {
	m, found := module.Load(v.Files, module.Options{Strict: true, Advise: true})
	if err := v.write(c, m, found); err != nil {
		return err
	}
	if len(found.Errors()) > 0 {
		return reported{exitFailure}
	}
	return nil
}

func (v *validateCommand) write(c console, m *module.Module, found module.Diagnostics) error {
	if v.Output == outputJSON {
		if found == nil {
			found = module.Diagnostics{}
		}
		return json.NewEncoder(c.out).Encode(found)
	}
	for _, d := range found {
		printf(c.out, "%s\n", diagnostic(c.out, d))
	}
	failed, odd := len(found.Errors()), len(found.Warnings())
	if failed > 0 {
		printf(c.err, "jetfn: %s, %s\n", count(failed, "error"), count(odd, "warning"))
		return nil
	}
	_, err := fmt.Fprintf(c.out, "valid: %s\n", m.Summary())
	return err
}

// count is n things.
func count(n int, word string) string { return strconv.Itoa(n) + " " + plural(n, word) }
