//go:build faultpoints

package faultpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	wanted, after = parse(os.Getenv("JETFN_FAULTPOINT")) //nolint:gochecknoglobals // read once, in test builds only
	hits          atomic.Int64                           //nolint:gochecknoglobals // counts in test builds only
)

func parse(s string) (name string, n int64) {
	name, count, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	return name, n
}

// Hit kills the process if name is the place that was asked for, for the time
// that was asked for.
func Hit(name string) {
	if name == wanted && hits.Add(1) == after {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
