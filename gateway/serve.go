package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// Limits of a listener.
const (
	defaultMaxHeader      = 64 << 10
	defaultMaxConnections = 4096
	readHeaderTimeout     = 10 * time.Second
	readTimeout           = 2 * time.Minute // headers and body
	writeTimeout          = time.Minute     // for one piece of an answer
	idleTimeout           = 2 * time.Minute
	drainTimeout          = 10 * time.Second
)

// ServeConfig is how a listener serves. Zero fields mean the defaults.
type ServeConfig struct {
	// TLS, if set, is what the listener speaks.
	TLS *tls.Config
	// MaxConnections bounds the connections that are served. A quarter more
	// are answered 429, and the rest wait until others end. The default is
	// 4,096.
	MaxConnections int
	// MaxHeaderBytes limits the headers of a request. The default is 64 KiB.
	MaxHeaderBytes int
	Log            zerolog.Logger
}

func (c ServeConfig) withDefaults() ServeConfig {
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.MaxHeaderBytes == 0 {
		c.MaxHeaderBytes = defaultMaxHeader
	}
	return c
}

// Serve answers requests on ln with h until ctx ends; then it takes no more,
// waits up to 10 seconds for those in progress, and returns nil. It closes
// ln. Connections of clients that are too slow are cut off.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, cfg ServeConfig) error {
	cfg = cfg.withDefaults()
	server := newServer(ctx, h, cfg)
	bounded := newConnections(ln, cfg.MaxConnections)
	ended := make(chan error, 1)
	go func() {
		if cfg.TLS == nil {
			ended <- server.Serve(bounded)
		} else {
			ended <- server.ServeTLS(bounded, "", "")
		}
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve http on %s: %w", ln.Addr(), errors.Join(err, server.Close()))
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = server.Close() // the rest has had its time
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("close http on %s: %w", ln.Addr(), err)
	}
	return nil
}

func newServer(ctx context.Context, h http.Handler, cfg ServeConfig) *http.Server {
	refused := newRefusals(cfg.Log)
	return &http.Server{
		Handler:           refuseSurplus(h, refused),
		TLSConfig:         cfg.TLS,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:       withConnection,
		ConnState:         watchConnections(refused),
		ErrorLog:          slog.NewLogLogger(&serverLog{log: cfg.Log, refused: refused}, slog.LevelError),
		// OPTIONS * is answered as any other request.
		DisableGeneralOptionsHandler: true,
	}
}
