package runtime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
)

// surface gives the gateway what it needs of the generation that is ready.
type surface struct{ worker *worker }

func (s surface) generation() (*generation, error) {
	g := s.worker.current.Load()
	if g == nil {
		return nil, fmt.Errorf("%w: %v", gateway.ErrNotReady, s.worker.status.Reasons())
	}
	return g, nil
}

// Send implements gateway.Sender.
func (s surface) Send(ctx context.Context, m gateway.Message) (gateway.Receipt, error) {
	trace, end := s.worker.meters.Tracer.Accept(m.Target, m.Trace)
	r, err := s.store(ctx, broker.SendRequest{Target: m.Target, Value: m.Value, Trace: trace, Delay: m.Delay})
	end(r.ID, err)
	return r, err
}

// app is the application as far as it takes messages: that of the generation
// that is ready or, since a server of others' has streams that take them at
// any time, that of the connection to it.
func (s surface) app() (*broker.App, error) {
	g, err := s.generation()
	if err == nil {
		return g.app, nil
	}
	b := s.worker.backbone.Load()
	if b == nil || b.server != nil || s.worker.status.is(phaseDraining) {
		return nil, err
	}
	return b.app, nil
}

// store puts a message into its target's mailbox.
func (s surface) store(ctx context.Context, m broker.SendRequest) (gateway.Receipt, error) {
	app, err := s.app()
	if err != nil {
		return gateway.Receipt{}, err
	}
	r, err := app.Send(ctx, m)
	switch {
	case errors.Is(err, broker.ErrClosed):
		return gateway.Receipt{}, fmt.Errorf("%w: %w", gateway.ErrNotReady, err)
	case errors.Is(err, broker.ErrTooLarge):
		return gateway.Receipt{}, fmt.Errorf("%w: %w", gateway.ErrTooLarge, err)
	case errors.Is(err, broker.ErrUnknown):
		return gateway.Receipt{}, fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
	case errors.Is(err, broker.ErrRefused):
		return gateway.Receipt{}, fmt.Errorf("%w: %w", gateway.ErrBusy, err)
	case err != nil:
		return gateway.Receipt{}, err
	}
	return gateway.Receipt{ID: inputID(app, r.Seq, r.Index), Partition: r.Partition, Seq: r.Seq}, nil
}

// inputID is the id of a stored message, unique over all applications.
func inputID(app *broker.App, seq uint64, index int) string {
	id := app.Incarnation() + "-" + strconv.FormatUint(seq, 10)
	if index > 0 {
		id += "-" + strconv.Itoa(index)
	}
	return id
}

// State implements gateway.States.
func (s surface) State(ctx context.Context, a actor.Address) (actor.StateView, error) {
	g, err := s.generation()
	if err != nil {
		return actor.StateView{}, err
	}
	return g.query(ctx, a)
}

// EditState implements gateway.StateEditor.
func (s surface) EditState(ctx context.Context, a actor.Address, decide actor.Edit) (actor.StateView, error) {
	g, err := s.generation()
	if err != nil {
		return actor.StateView{}, err
	}
	return g.edit(ctx, a, decide)
}

// DeclaredType implements gateway.StateEditor.
func (s surface) DeclaredType(t actor.TypeName, state string) string {
	return s.worker.catalog.declaredType(t, state)
}

// States implements gateway.States. It reads the bucket, which follows the
// commits within a second or so, and leaves out what has expired.
func (s surface) States(ctx context.Context, t actor.TypeName, after string, limit int) ([]gateway.StateItem, string, error) {
	g, err := s.generation()
	if err != nil {
		return nil, "", err
	}
	listed, next, err := g.state.List(ctx, t, after, limit)
	if err != nil {
		return nil, "", err
	}
	items := make([]gateway.StateItem, 0, len(listed))
	now := time.Now().UnixMilli()
	for _, l := range listed {
		alive := l.Record.State.Alive(now)
		if len(alive) == 0 {
			continue
		}
		items = append(items, gateway.StateItem{Address: l.Address, View: actor.StateView{
			State: alive, Partition: l.Record.Partition, Commit: l.Record.Commit, Revision: l.Revision,
		}})
	}
	return items, next, nil
}

// Pop implements gateway.Popper. A record is stored as the function made it;
// what it hands out is its payload.
func (s surface) Pop(ctx context.Context, topic string) ([]byte, bool, error) {
	g, err := s.generation()
	if err != nil {
		return nil, false, err
	}
	data, ok, err := g.app.PopEgress(ctx, playgroundID(), topic)
	if err != nil || !ok {
		return nil, false, err
	}
	_, payload, err := gateway.PlaygroundRecord(actor.Value{Type: playgroundRecordType, Data: data})
	if err != nil {
		return nil, false, fmt.Errorf("playground topic %s: a record that no function made is lost: %w", topic, err)
	}
	return []byte(payload), true, nil
}
