package broker

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// mostReserve is what is kept of much storage for what was accepted.
	mostReserve = 64 << 20
	// roomPause is the time between looks at how much storage is left, in which
	// what was accepted before uses the reserve; ample is more than can be
	// filled within amplePause.
	roomPause, amplePause = 50 * time.Millisecond, time.Second
	ample                 = 1 << 30
	holdLimit             = 5 * time.Second
	// holdPause is how long the ingress stream takes nothing at least, so that
	// its settings don't change with each record that goes.
	holdPause = 2 * time.Second
)

// Reserve is the part of a server's storage that outside messages don't get,
// so that what was accepted can be finished: a twentieth of it, 64 MiB at most.
func Reserve(limit int64) int64 { return min(limit/20, mostReserve) }

// Room is how many bytes outside messages may take now; it is negative when
// the reserve is in use, too. Without a limit it is as much as can be said.
func (s *Server) Room() int64 {
	used, limit := s.Stored()
	if limit <= 0 {
		return math.MaxInt64
	}
	return limit - used - Reserve(limit)
}

func noRoom() error {
	return &publishError{503, 10023, "NATS has no storage left for new messages, the rest is for those that were accepted; make room"}
}

// usher tells a gate how much room there is, and keeps records out of the
// ingress stream while there is none.
type usher struct {
	*gate

	held   bool // the ingress stream takes nothing
	heldAt time.Time
	toldAt time.Time
}

// watchRoom keeps g informed until ctx ends, in a goroutine of watching. When
// it returns, g knows how much room there is.
func (g *gate) watchRoom(ctx context.Context, watching *sync.WaitGroup) error {
	u := &usher{gate: g}
	info, err := g.app.streams.ingress.Info(ctx)
	if err != nil {
		return fmt.Errorf("look the ingress stream up: %w", err)
	}
	u.held = info.Config.MaxBytes > 0 // by the one before
	pause := u.look(ctx)
	watching.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = u.look(ctx)
		}
	})
	return nil
}

// look tells what holds now, and returns when to look again.
func (u *usher) look(ctx context.Context) time.Duration {
	room := u.app.cfg.Room()
	refused := u.setRoom(room)
	u.hold(ctx, room <= 0)
	if refused && time.Since(u.toldAt) >= gateWarnPause {
		u.toldAt = time.Now()
		u.app.cfg.Log.Warn().Msg("little storage is left, new messages are refused")
	}
	if room > ample {
		return amplePause
	}
	return roomPause
}

// hold has the ingress stream take records, or not.
func (u *usher) hold(ctx context.Context, hold bool) {
	if hold == u.held || u.held && time.Since(u.heldAt) < holdPause {
		return
	}
	limits := u.app.ingressConfig()
	if hold {
		limits.Discard, limits.MaxBytes = jetstream.DiscardNew, 1
	}
	ctx, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	if err := u.limit(ctx, limits); err != nil {
		u.app.cfg.Log.Debug().Err(err).Bool("hold", hold).Msg("ingress stream not changed, trying again")
		return
	}
	u.held, u.heldAt = hold, time.Now()
	if hold {
		u.app.cfg.Log.Warn().Msg("little storage is left, the ingress stream takes no records")
		return
	}
	u.app.cfg.Log.Info().Msg("there is storage again, the ingress stream takes records")
}

// limit gives the ingress stream the limits of want.
func (u *usher) limit(ctx context.Context, want jetstream.StreamConfig) error {
	info, err := u.app.streams.ingress.Info(ctx)
	if err != nil {
		return err
	}
	cfg := info.Config
	cfg.Discard, cfg.MaxBytes = want.Discard, want.MaxBytes
	_, err = u.app.js.UpdateStream(ctx, cfg)
	return err
}
