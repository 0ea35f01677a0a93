//go:build unix

package gateway

import (
	"errors"
	"net"
	"syscall"
)

// alive reports whether an idle connection is open and silent: a read that
// doesn't wait finds nothing.
func alive(conn net.Conn) bool {
	if limited, ok := conn.(*writeLimitedConn); ok {
		conn = limited.Conn
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}
