package bench

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncCounter counts the fsync calls of a child and of all its threads, by the
// kernel's trace points. It needs a tracefs that it may read and the right to
// count, which root has.
type syncCounter struct{ events []int }

// countSyncs starts begin, which starts a child, so that the child's calls are
// counted: counters are inherited from the thread that forks.
func countSyncs(begin func() error) (*syncCounter, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &syncCounter{}
	for _, call := range []string{"fsync", "fdatasync", "syncfs"} {
		event, err := openEvent(call)
		if err != nil {
			c.close()
			break
		}
		c.events = append(c.events, event)
	}
	return c, begin()
}

func openEvent(call string) (int, error) {
	id, err := traceID(call)
	if err != nil {
		return 0, err
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Bits: unix.PerfBitInherit}
	attr.Size = uint32(unsafe.Sizeof(attr))
	event, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("count calls of %s: %w", call, err)
	}
	return event, nil
}

// traceID is the trace point's number.
func traceID(call string) (uint64, error) {
	var text []byte
	var err error
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if text, err = os.ReadFile(filepath.Join(dir, "events", "syscalls", "sys_enter_"+call, "id")); err == nil {
			return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		}
	}
	return 0, err
}

// count is the number of calls so far; false if they aren't counted.
func (c *syncCounter) count() (n int64, ok bool) {
	for _, event := range c.events {
		var b [8]byte
		if _, err := unix.Read(event, b[:]); err != nil {
			return 0, false
		}
		n += int64(binary.NativeEndian.Uint64(b[:]))
	}
	return n, len(c.events) > 0
}

func (c *syncCounter) close() {
	for _, event := range c.events {
		_ = unix.Close(event)
	}
	c.events = nil
}
