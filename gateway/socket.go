package gateway

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// A function at a Unix socket has a URL such as
// http+unix:///run/greeter.sock/statefun: the socket's path, which ends in
// .sock, and the path to ask for. Inside, the socket's path is in the place of
// the host, in hex digits, so that connections are kept for each.

const (
	unixSuffix = "+unix"
	socketEnd  = ".sock"
	// socketHost is what functions at a socket are told as their host.
	socketHost = "localhost"
)

// isSocket reports whether a URL is that of a function at a Unix socket.
func isSocket(scheme string) bool { return strings.HasSuffix(scheme, unixSuffix) }

// atSocket turns the URL of a function at a Unix socket into one whose host is
// the socket.
func atSocket(u *url.URL) (*url.URL, error) {
	if u.Host != "" {
		return nil, fmt.Errorf("names the host %q: the path of a socket begins with a slash, as in http+unix:///run/fn.sock", u.Host)
	}
	escaped := u.EscapedPath()
	end := strings.Index(escaped+"/", socketEnd+"/")
	if end <= 0 {
		return nil, errors.New("names no socket: a path that ends in .sock, as in http+unix:///run/fn.sock/statefun")
	}
	end += len(socketEnd)
	socket, err := url.PathUnescape(escaped[:end])
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	path, err := url.PathUnescape(escaped[end:])
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	out := *u
	out.Scheme = strings.TrimSuffix(u.Scheme, unixSuffix)
	out.Host = hex.EncodeToString([]byte(socket))
	out.Path, out.RawPath = path, escaped[end:]
	return &out, nil
}

// socketOf is the socket that atSocket has put in the place of the host.
func socketOf(addr string) (string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("find socket: %w", err)
	}
	socket, err := hex.DecodeString(host)
	if err != nil {
		return "", fmt.Errorf("the answer redirects from a Unix socket to the host %s", host)
	}
	return string(socket), nil
}
