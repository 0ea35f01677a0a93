package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// probeLimit is how long a server may take to say that nobody listens.
const probeLimit = 2 * time.Second

// mayPublish finds out whether the connection may publish to the
// application's internal subjects. Without that every write would be dropped
// silently, which looks like a server that does not answer.
func (a *App) mayPublish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	_, err := a.nc.RequestWithContext(ctx, a.names.probe(), nil)
	if err == nil || errors.Is(err, nats.ErrNoResponders) {
		return nil
	}
	if last := a.nc.LastError(); errors.Is(last, nats.ErrPermissionViolation) {
		return fmt.Errorf("this connection may not publish to %s; it must be allowed to, and only to jetfn (the NATS server embedded in a jetfn process allows it to that process alone): %w",
			strings.Join(a.names.internals(), ", "), last)
	}
	return fmt.Errorf("ask the NATS server: %w", err)
}
