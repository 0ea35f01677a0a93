//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demoCommand runs until it is interrupted; the blocks after it are for
// another terminal.
const demoCommand = "go run ./cmd/jetfn demo"

// commandBlocks are the sh blocks of a Markdown text.
func commandBlocks(text string) (blocks []string) {
	for {
		_, after, ok := strings.Cut(text, "\n```sh\n")
		if !ok {
			return blocks
		}
		block, rest, _ := strings.Cut(after, "```")
		blocks = append(blocks, strings.TrimSpace(block))
		text = rest
	}
}

// TestEveryCommandBlockOfTheReadmeWorks runs the blocks in their order, in
// the project's folder, and wants each to succeed. `make test` among them is
// really run; the e2e tests are no part of it, so it doesn't come back here.
func TestEveryCommandBlockOfTheReadmeWorks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := commandBlocks(string(text))
	if len(blocks) < 2 || blocks[0] != demoCommand || !slices.Contains(blocks, "make test") {
		t.Fatalf("README.md has the blocks %q, want %q first, and make test", blocks, demoCommand)
	}
	built(t, plainBinary) // so that go run has its parts in the cache
	demo := startProcess(t, "demo", command{path: "sh", args: []string{"-ec", "exec " + demoCommand}, dir: ".."})
	eventually(t, 15*time.Minute, "the second round of greetings", func() error {
		if demo.ended() {
			t.Fatalf("the demo ended with code %d", demo.cmd.ProcessState.ExitCode())
		}
		return secondRound(demo.output.String())
	})
	for _, block := range blocks[1:] {
		start := time.Now()
		out, err := shell(t, block)
		if err != nil {
			t.Errorf("%s\nended with %v and printed\n%s", block, err, out)
		}
		t.Logf("%q took %v", block, time.Since(start).Round(10*time.Millisecond))
	}
	demo.signal(syscall.SIGINT)
	if code := demo.wait(t, 20*time.Second); code != 0 && code != 1 && code != 130 {
		// go run makes 1 of every code but 0.
		t.Errorf("the interrupted demo ended with code %d", code)
	}
	if out := demo.output.String(); strings.Contains(out, "panic") || strings.Contains(out, "goroutine ") {
		t.Errorf("the demo did not end cleanly")
	}
}

// secondRound looks for greetings that count to two, and for what follows.
func secondRound(out string) error {
	for _, name := range []string{"Ada", "Grace", "Alan"} {
		if !strings.Contains(out, "Hello "+name+", good to see you for the 2nd time!") {
			return fmt.Errorf("the demo has not greeted %s twice; it has printed %q", name, out)
		}
	}
	if !strings.Contains(out, "Try, in another terminal") {
		return errors.New("the demo has not said what to try next")
	}
	return nil
}

// shell runs a block as a reader would, without what a surrounding make or go
// test has put into the environment.
func shell(t *testing.T, block string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", block)
	cmd.Dir = ".."
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "GOFLAGS", "RUN", "V"}, name)
	})
	out, err := cmd.CombinedOutput()
	return string(out), err
}
