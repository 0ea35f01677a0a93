//go:build !linux

package groupsync

import "errors"

// Disk is the file system that a directory is on.
type Disk struct{}

// ErrUnsupported means that a sync of the whole file system doesn't promise
// what a Syncer needs.
var ErrUnsupported = errors.New("syncing a file system as a whole needs Linux")

// OpenDisk fails.
func OpenDisk(string) (*Disk, error) { return nil, ErrUnsupported }

// Sync fails.
func (*Disk) Sync() error { return ErrUnsupported }

// Close does nothing.
func (*Disk) Close() error { return nil }
