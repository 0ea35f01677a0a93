package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// errAddressInUse is the system's.
const errAddressInUse = syscall.EADDRINUSE

// listen opens a TCP listener. The error names what it is for; it wraps
// ErrInUse if the port is taken.
func listen(ctx context.Context, what, address string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		return ln, nil
	}
	if errors.Is(err, errAddressInUse) {
		return nil, fmt.Errorf("%s: address %s is %w by another process; stop it, or choose another one", what, address, ErrInUse)
	}
	return nil, fmt.Errorf("%s: %w", what, err)
}
