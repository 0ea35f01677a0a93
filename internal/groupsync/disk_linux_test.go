package groupsync_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/jetfn/jetfn/internal/groupsync"
)

func TestAFileSystemWithoutTheNeededPromiseIsRefused(t *testing.T) {
	t.Parallel()
	_, err := groupsync.OpenDisk("/proc/self")
	if !errors.Is(err, groupsync.ErrUnsupported) {
		t.Errorf("error = %v", err)
	}
	if _, err := groupsync.OpenDisk(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}

func TestADirectoryOnExt4CanBeSynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var about unix.Statfs_t
	if err := unix.Statfs(dir, &about); err != nil {
		t.Fatal(err)
	}
	if about.Type != unix.EXT4_SUPER_MAGIC {
		t.Skipf("temporary directories are not on ext4 here (type %#x)", about.Type)
	}
	disk, err := groupsync.OpenDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Sync(); err != nil {
		t.Error(err)
	}
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
	if err := disk.Sync(); err == nil {
		t.Error("a closed directory was synced")
	}
}
