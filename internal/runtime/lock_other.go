//go:build !unix

package runtime

import (
	"errors"
	"os"
)

// errLocked means that another process has the lock.
var errLocked = errors.New("locked")

// lockExclusively refuses: without a lock, two processes could destroy each
// other's data.
func lockExclusively(*os.File) error {
	return errors.New("this system has no file locks that jetfn knows; use --nats with a server instead")
}
