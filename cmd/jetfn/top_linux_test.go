package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/jetfn/jetfn/gateway"
)

// terminal is a pseudo-terminal: what the program writes to inner is read from
// outer.
type terminal struct{ outer, inner *os.File }

func newTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	outer, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = outer.Close() })
	fd := int(outer.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	inner, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	out := &terminal{outer, inner}
	out.resize(t, width, height)
	return out
}

func (m *terminal) resize(t *testing.T, width, height uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(m.inner.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		t.Fatal(err)
	}
}

// page reads what is shown at once: from where the cursor goes home to where
// the rest is cleared.
func (m *terminal) page(t *testing.T) []string {
	t.Helper()
	var text []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(text), "\x1b[J") {
		if _, err := io.ReadFull(m.outer, one); err != nil {
			t.Fatalf("the terminal ends: %v, after %q", err, text)
		}
		text = append(text, one...)
	}
	shown, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\x1b[J"), "\x1b[H")
	if !ok {
		t.Fatalf("it doesn't begin at the top: %q", text)
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(shown, "\r\n"), "\r\n") {
		text, ok := strings.CutSuffix(line, "\x1b[K")
		if !ok || strings.Contains(text, "\x1b") {
			t.Errorf("the line %q doesn't clear what was behind it", line)
		}
		lines = append(lines, text)
	}
	return lines
}

// busy is an application that does a lot.
func busy(t *testing.T) *httptest.Server {
	t.Helper()
	var looks atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := looks.Add(1)
		top := gateway.Top{At: n * 1000, Worker: "worker-with-a-long-name", Inflight: 3, Max: 1024}
		for i := range 12 {
			top.Functions = append(top.Functions, gateway.TopFunction{
				Type: fmt.Sprintf("shop/function-%d", i), In: 100 * n, Done: 90 * n, Calls: 50 * n, Latency: 1000 * float64(n), P99: 12.3, Backlog: 10, BacklogAge: 1500,
			})
		}
		for i := range 64 {
			top.Parts = append(top.Parts, gateway.PartitionInfo{Partition: i, Owner: top.Worker, Up: true, Epoch: 3, Commits: 12345})
		}
		if err := json.NewEncoder(w).Encode(top); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// pageFits says what a page has that a window of that size can't have; empty
// if there is nothing.
func pageFits(page []string, width, height int, names string, more bool) string {
	if len(page) > height-1 {
		return fmt.Sprintf("%d lines are shown where there is room for %d", len(page), height-1)
	}
	for _, line := range page {
		if utf8.RuneCountInString(line) > width {
			return fmt.Sprintf("the line %q is longer than the window's %d columns", line, width)
		}
	}
	if got := strings.Join(strings.Fields(page[min(2, len(page)-1)]), " "); names != "" && got != names {
		return fmt.Sprintf("in %d columns functions have %s, want %s", width, got, names)
	}
	if last := page[len(page)-1]; strings.HasPrefix(last, "… ") != more {
		return fmt.Sprintf("in %d lines the last one is %q, want it to say that there is more: %t", height, last, more)
	}
	if names != "" && !strings.Contains(page[3], "shop/function-0  ") {
		return fmt.Sprintf("the first function is %q", page[3])
	}
	return ""
}

func TestTopKeepsToTheWindow(t *testing.T) {
	t.Parallel()
	m := newTerminal(t, 120, 40)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	command := topCommand{Interval: 20 * time.Millisecond, Partitions: 8}
	command.Server, command.Timeout = busy(t).URL, time.Minute
	ended := make(chan error, 1)
	go func() { ended <- command.Run(ctx, console{out: m.inner, err: io.Discard}) }()
	for _, c := range []struct {
		width, height uint16
		names         string // of the columns of functions
		more          bool   // than the window has room for
	}{
		{120, 40, "FUNCTION IN/S DONE/S CALLS/S LATENCY P99 BACKLOG OLDEST IN FLIGHT FAILED RETRYING DEAD STATE", false},
		{80, 24, "FUNCTION DONE/S LATENCY BACKLOG IN FLIGHT FAILED DEAD STATE", true},
		{50, 10, "FUNCTION DONE/S BACKLOG FAILED DEAD", true},
		{10, 3, "", true},
		{130, 40, "FUNCTION IN/S DONE/S CALLS/S LATENCY P99 BACKLOG OLDEST IN FLIGHT FAILED RETRYING DEAD STATE", false},
	} {
		m.resize(t, c.width, c.height)
		wrong := pageFits(m.page(t), int(c.width), int(c.height), c.names, c.more)
		for range 500 { // those that were on their way
			if wrong == "" {
				break
			}
			wrong = pageFits(m.page(t), int(c.width), int(c.height), c.names, c.more)
		}
		if wrong != "" {
			t.Error(wrong)
		}
	}
	cancel()
	go func() { _, _ = io.Copy(io.Discard, m.outer) }()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v when it is interrupted, want nil", err)
	}
}
