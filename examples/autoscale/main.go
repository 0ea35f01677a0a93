// Autoscale is a function service to try scaling with: each process serves one
// message at a time, which takes a while, and all processes share a port.
//
//	go run ./examples/autoscale -listen 127.0.0.1:9100 -takes 50ms
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jetfn/jetfn/sdk"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9100", "address, shared by all processes")
	takes := flag.Duration("takes", 50*time.Millisecond, "how long a message takes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *takes); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen string, takes time.Duration) error {
	work := make(chan struct{}, 1) // one message at a time
	registry, err := sdk.NewRegistry([]sdk.Function{{
		Type: "example/work",
		Invoke: func(ctx sdk.Context, _ sdk.Message) error {
			select {
			case work <- struct{}{}:
				defer func() { <-work }()
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case <-time.After(takes):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}})
	if err != nil {
		return err
	}
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, failed)
	}}
	ln, err := shared.Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	// Each answer closes its connection, so that the next one may go to a
	// process that has just begun.
	handler := sdk.Handler(registry)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		handler.ServeHTTP(w, r)
	})}
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(drain) // what it waited for has had its time
	}()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
