package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// worker is a jetfn that runs.
type worker struct {
	command *exec.Cmd
	output  string // the file that it prints to
	done    chan struct{}
	last    int64 // its peak RSS when it was killed
}

func startWorker(ctx context.Context, binary, dir string, args ...string) (*worker, error) {
	w := &worker{command: exec.CommandContext(ctx, binary, args...), output: filepath.Join(dir, "worker.log"), done: make(chan struct{})} //nolint:gosec // what the caller names
	w.command.Dir = dir
	output, err := os.OpenFile(w.output, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the worker has its own
	w.command.Stdout, w.command.Stderr = output, output
	if absolute, err := exec.LookPath(binary); err == nil {
		w.command.Path = absolute
	}
	if err := w.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	go func() {
		_ = w.command.Wait() // it is killed
		close(w.done)
	}()
	return w, nil
}

func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// kill is kill -9.
func (w *worker) kill() {
	w.last = w.peak()
	_ = w.command.Process.Kill() // it may have ended
	<-w.done
}

// log is the end of what it has printed.
func (w *worker) log() string {
	text, err := os.ReadFile(w.output)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// rss is the memory that it has, zero where that can't be told.
func (w *worker) rss() int64 { return w.status("VmRSS:") }

// peak is the most that it had.
func (w *worker) peak() int64 { return w.status("VmHWM:") }

func (w *worker) status(name string) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(w.command.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			var kib int64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// lagList gathers times.
type lagList struct {
	mu   sync.Mutex
	list []time.Duration
}

func (l *lagList) add(d time.Duration) {
	l.mu.Lock()
	l.list = append(l.list, d)
	l.mu.Unlock()
}

func (l *lagList) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

// lags are percentiles in milliseconds.
type lags struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func (l *lagList) summary() lags {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return lags{}
	}
	slices.Sort(l.list)
	at := func(q float64) float64 {
		i := int(math.Ceil(q*float64(len(l.list)))) - 1
		return float64(l.list[max(i, 0)].Microseconds()) / 1000
	}
	return lags{Count: len(l.list), P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
}
