package groupsync

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Disk is the file system that a directory is on.
type Disk struct{ dir *os.File }

// ErrUnsupported means that a sync of the whole file system doesn't promise
// what a Syncer needs.
var ErrUnsupported = errors.New("this file system is not one that can be synced as a whole")

// OpenDisk returns the file system of a directory. It must be ext4: a file
// that replaces another one by a rename, as JetStream's do, is empty after a
// power failure on others that were looked at, unless it is synced before.
func OpenDisk(dir string) (*Disk, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	var about unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &about); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("what file system %s is on: %w", dir, err)
	}
	if about.Type != unix.EXT4_SUPER_MAGIC {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w (its type is %#x), only ext4 is", dir, ErrUnsupported, about.Type)
	}
	return &Disk{f}, nil
}

// Sync writes all that was written before to the disk, also what other
// programs wrote to the file system. It needs Linux 5.8 or newer to tell of
// errors of the disk.
func (d *Disk) Sync() error {
	for {
		err := unix.Syncfs(int(d.dir.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("syncfs", err)
		}
	}
}

// Close lets go of the directory.
func (d *Disk) Close() error { return d.dir.Close() }
