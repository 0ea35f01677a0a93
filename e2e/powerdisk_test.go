//go:build e2e && linux

package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// fsShutdown is FS_IOC_SHUTDOWN, _IOR('X', 125, __u32): the file system
	// stops at once, as crash tests of file systems have it do.
	fsShutdown = 0x8004587d
	// withoutFlush is FS_SHUTDOWN_FLAGS_NOLOGFLUSH: not even its journal's
	// transaction that is open is written.
	withoutFlush = 2
	canaryBytes  = 64 << 10
	deviceBytes  = 2 << 30 // what is never written takes no room
)

// powerDisk is an ext4 file system of its own, in a file behind a loop device.
// When its power fails, what only the page cache had is gone: all that wasn't
// synced, apart from what the kernel has written by itself.
type powerDisk struct {
	options  string // of the mount
	image    string
	dir      string
	failures int
}

// newPowerDisk is one that is mounted, with more options, until the test ends.
func newPowerDisk(t *testing.T, options string) *powerDisk {
	t.Helper()
	d := &powerDisk{options: "loop,discard,commit=60," + options, dir: t.TempDir()}
	err := d.make(t)
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		if os.Geteuid() == 0 && os.Getenv("CI") != "" {
			t.Fatalf("make a file system whose power can fail: %v", err)
		}
		t.Skipf("NOT TESTED: a power failure needs root, a loop device and mkfs.ext4: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(d.dir, unix.MNT_DETACH) })
	return d
}

// make makes the device in the directory JETFN_POWER_DIR, or else in memory,
// since a sync of every write is slow on the disk of a busy machine.
func (d *powerDisk) make(t *testing.T) error {
	t.Helper()
	dir := os.Getenv("JETFN_POWER_DIR")
	if dir == "" {
		dir = t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	d.image = filepath.Join(dir, fmt.Sprintf("jetfn-power-%d-%d.img", os.Getpid(), time.Now().UnixNano()))
	t.Cleanup(func() { _ = os.Remove(d.image) })
	f, err := os.Create(d.image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(deviceBytes), f.Close()); err != nil {
		return err
	}
	return tool("mkfs.ext4", "-q", "-F", "-J", "size=32", d.image)
}

func (d *powerDisk) mount() error {
	return tool("mount", "-t", "ext4", "-o", d.options, d.image, d.dir)
}

func tool(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// fail ends the power of a machine on which only p runs, and leaves behind
// what a machine finds that is switched on again. All that p has told anybody
// it told before.
func (d *powerDisk) fail(t *testing.T, p *process) {
	t.Helper()
	if p.ended() {
		t.Fatalf("%s ended before the power failed, with code %d:\n%s", p.name, p.cmd.ProcessState.ExitCode(), p.output.tail(4_000))
	}
	p.freeze(t)
	d.failures++
	canary := filepath.Join(d.dir, fmt.Sprintf("canary-%d", d.failures))
	if err := os.WriteFile(canary, make([]byte, canaryBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	d.shutDown(t)
	p.signal(syscall.SIGKILL) // it isn't woken up for that
	<-p.done
	eventually(t, 20*time.Second, "the file system to be unmounted", func() error { return unix.Unmount(d.dir, 0) })
	if err := d.mount(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(canary); err == nil && info.Size() > 0 {
		t.Fatalf("%d bytes that were not synced have survived: this is no power failure", info.Size())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func (d *powerDisk) shutDown(t *testing.T) {
	t.Helper()
	root, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if err := unix.IoctlSetPointerInt(int(root.Fd()), fsShutdown, withoutFlush); err != nil {
		t.Fatalf("shut %s down: %v", d.dir, err)
	}
}

// freeze stops the process, and returns when none of its threads will run any
// more. Those inside the kernel may end what they do there.
func (p *process) freeze(t *testing.T) {
	t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(t, 20*time.Second, "all threads to be stopped", func() error {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		if err != nil || len(stats) == 0 {
			return fmt.Errorf("no threads: %w", err)
		}
		for _, name := range stats {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			_, rest, _ := strings.Cut(string(text), ") ")
			if rest == "" || !strings.ContainsAny(rest[:1], "TDtZX") {
				return fmt.Errorf("%s: %s", name, text)
			}
		}
		return nil
	})
}
