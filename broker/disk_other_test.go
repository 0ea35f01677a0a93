//go:build !linux

package broker_test

import "testing"

// smallDisk needs a kernel that mounts file systems in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	t.Skip("no small disk on this system")
	return ""
}
