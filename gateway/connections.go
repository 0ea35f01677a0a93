package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connections is a listener with a bound: it accepts a quarter more than its
// limit, which are surplus and only told so, and leaves the rest to wait in
// the system's queue.
type connections struct {
	net.Listener

	limit  int64
	open   atomic.Int64
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newConnections(ln net.Listener, limit int) *connections {
	return &connections{
		Listener: ln, limit: int64(limit),
		places: make(chan struct{}, limit+max(limit/4, 1)), closed: make(chan struct{}),
	}
}

// Accept implements net.Listener.
func (l *connections) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	inner, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &connection{Conn: inner, listener: l, surplus: l.open.Add(1) > l.limit}, nil
}

// Close implements net.Listener.
func (l *connections) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// connection is one of them. A client that doesn't take what is written to it
// is cut off.
type connection struct {
	net.Conn

	listener *connections
	surplus  bool
	begun    atomic.Bool // bytes of a request have come
	served   atomic.Bool // the request was complete
	once     sync.Once
}

// Write implements net.Conn.
func (c *connection) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// CloseWrite lets the server say its last word before it hangs up.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.listener.open.Add(-1)
		<-c.listener.places
	})
	return err
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, connectionOf(c))
}

// connectionOf is the connection that TLS may be spoken over.
func connectionOf(c net.Conn) *connection {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = over.NetConn()
	}
	own, ok := c.(*connection)
	if !ok { // not of this listener
		return &connection{Conn: c}
	}
	return own
}

// refuseSurplus answers 429 on connections beyond the limit.
func refuseSurplus(h http.Handler, refused *refusals) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connectionKey{}).(*connection)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		c.served.Store(true)
		if c.surplus {
			refused.tell(r.RemoteAddr, "connections")
			w.Header().Set("Connection", "close")
			problem(busy, "there are too many connections; use fewer, or come again later").write(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// watchConnections notices those that end before their request is complete:
// slow clients that were cut off, and what is no HTTP.
func watchConnections(refused *refusals) func(net.Conn, http.ConnState) {
	return func(nc net.Conn, state http.ConnState) {
		c := connectionOf(nc)
		switch state {
		case http.StateActive:
			c.begun.Store(true)
		case http.StateIdle:
			c.begun.Store(false)
			c.served.Store(false)
		case http.StateClosed:
			if c.begun.Load() && !c.served.Load() {
				refused.tell(nc.RemoteAddr().String(), "incomplete")
			}
		case http.StateNew, http.StateHijacked:
		}
	}
}
