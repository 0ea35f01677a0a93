package bench

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func (u *usage) readOS() {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	status := procFields("/proc/self/status")
	u.RSS, u.PeakRSS = status["VmRSS"]<<10, status["VmHWM"]<<10
	if written, ok := procFields("/proc/self/io")["write_bytes"]; ok {
		u.Written = written
	}
}

// procFields reads "name: number unit" lines.
func procFields(file string) map[string]int64 {
	out := map[string]int64{}
	data, err := os.ReadFile(file)
	if err != nil {
		return out
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			out[name] = n
		}
	}
	return out
}

// machineCPU is the time that all processors have been busy, with the time
// that a hypervisor took from them; zero: not known.
func machineCPU() time.Duration {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(data), "\n")
	const (
		tick          = time.Second / 100
		idle, waiting = 4, 5 // columns
		last          = 8    // steal; guests are in user already
	)
	var sum time.Duration
	for i, field := range strings.Fields(line) {
		if n, err := strconv.ParseInt(field, 10, 64); err == nil && i != idle && i != waiting && i <= last {
			sum += time.Duration(n) * tick
		}
	}
	return sum
}
