//go:build unix && !linux

package bench

import (
	"syscall"
	"time"
)

func (u *usage) readOS() {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
}

func machineCPU() time.Duration { return 0 }
