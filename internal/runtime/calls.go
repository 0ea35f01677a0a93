package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/caller"
)

// answerRoom is what the state of a call takes besides the answer.
const answerRoom = 64 << 10

// replies lets the answers of a partition's functions out: to this worker's
// desk, or to that of another one.
type replies struct {
	desk *caller.Desk
	app  *broker.App
}

// Reply implements actor.Replies.
func (r replies) Reply(e *actor.Envelope) {
	if r.desk.Here(e) {
		r.desk.Deliver(e)
		return
	}
	r.app.Reply(e)
}

// takeCalls serves calls over NATS, and hears the answers that other workers
// send, until stop is called; whoever waits then is told that no answer will
// come.
func (w *worker) takeCalls(ctx context.Context, b *backbone) (stop func(), err error) {
	w.maxAnswer.Store(int64(max(b.state.Partition(0).MaxState()-answerRoom, 0)))
	nc := b.nc
	var deafen func()
	if b.server != nil {
		if nc, err = b.server.ConnectOutside(w.name + "-calls"); err != nil {
			return nil, err
		}
		deafen = nc.Close
	} else {
		// An embedded server has no other workers.
		if deafen, err = b.app.HearReplies(ctx, w.desk.Gateway(), w.desk.Deliver); err != nil {
			return nil, err
		}
	}
	service, err := w.serveCalls(ctx, b, nc)
	if err != nil {
		deafen()
		return nil, err
	}
	w.backbone.Store(b)
	return func() {
		w.backbone.Store(nil)
		w.desk.End()
		service.Stop()
		deafen()
	}, nil
}

// serveCalls answers core requests.
func (w *worker) serveCalls(ctx context.Context, b *backbone, nc *nats.Conn) (*broker.CallService, error) {
	calls := gateway.Calls{Caller: surface{w}, Functions: w.catalog}
	return b.app.ServeCalls(ctx, nc, w.cfg.Version, func(ctx context.Context, in *broker.CallRequest) broker.CallAnswer {
		r := &gateway.CallRequest{Target: in.Target, Value: in.Value, Key: in.Key}
		r.Trace, r.Fresh = gateway.NewTrace(in.Trace, w.sample())
		var reply gateway.CallReply
		p := gateway.ProblemOf(in.Problem)
		if p == nil {
			reply, p = calls.Do(ctx, r, in.Timeout)
		}
		out := broker.CallAnswer{Header: map[string]string{broker.HeaderTraceParent: r.Trace.Parent, broker.HeaderCallID: reply.CallID}}
		if p != nil {
			p.Address, p.TraceID = in.Target.String(), gateway.TraceID(r.Trace)
			out.Code, out.Error, out.Data = p.Status, p.Slug()+": "+p.Detail, p.Document()
			return out
		}
		if reply.Value.Type != "" {
			out.Header[broker.HeaderType] = reply.Value.Type
			_, out.Data = reply.Render(in.Accept)
		}
		return out
	})
}

// Call implements gateway.Caller.
func (s surface) Call(ctx context.Context, r *gateway.CallRequest) (gateway.CallReply, error) {
	if !r.Async { // nobody should wait for what is paused
		if err := s.whyPaused(r.Target); err != nil {
			return gateway.CallReply{}, err
		}
	}
	trace, end := s.worker.meters.Tracer.Call(r.Target, r.Trace, r.Fresh)
	got, err := s.client().Call(ctx, &caller.Request{Target: r.Target, Value: r.Value, Trace: trace, Key: r.Key, Later: r.Async})
	end(err)
	return s.callReply(&got), callError(err)
}

// Result implements gateway.Caller.
func (s surface) Result(ctx context.Context, callID string) (gateway.CallReply, error) {
	got, err := s.client().Look(ctx, callID)
	return s.callReply(&got), callError(err)
}

// SendOnce implements gateway.Caller.
func (s surface) SendOnce(ctx context.Context, m gateway.Message, key string) (gateway.Receipt, error) {
	app, err := s.app()
	if err != nil {
		return gateway.Receipt{}, err
	}
	at, err := s.client().Send(ctx, &caller.Request{Target: m.Target, Value: m.Value, Trace: m.Trace, Key: key, Delay: m.Delay})
	if err != nil {
		return gateway.Receipt{}, callError(err)
	}
	return gateway.Receipt{ID: inputID(app, at.Seq, at.Index), Partition: m.Target.Partition(app.Partitions()), Seq: at.Seq}, nil
}

func (s surface) client() *caller.Client {
	return &caller.Client{Desk: s.worker.desk, Mailboxes: mailboxes{s}}
}

func (s surface) callReply(a *caller.Answer) gateway.CallReply {
	out := gateway.CallReply{CallID: a.ID, Pending: a.Pending, Value: a.Value}
	if f := a.Failure; f != nil {
		out.Failure = &gateway.CallFailure{Reason: f.Reason, Error: f.Error, Attempts: f.Attempts}
		if b := s.worker.backbone.Load(); b != nil && f.Letter != (actor.SinkID{}) {
			out.Failure.DeadLetterID = b.app.DeadLetterID(f.Letter)
		}
	}
	return out
}

// callError is err as the gateway knows it.
func callError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, caller.ErrTimeout):
		return fmt.Errorf("%w: the function may still take the message", gateway.ErrTimeout)
	case errors.Is(err, caller.ErrEnded):
		return fmt.Errorf("%w: this worker ends; the function may still take the message", gateway.ErrTimeout)
	case errors.Is(err, caller.ErrMismatch):
		return fmt.Errorf("%w: this address had another value under it within a day", gateway.ErrKeyMismatch)
	case errors.Is(err, caller.ErrNotFound):
		return fmt.Errorf("%w: no call of the last day has this id, or it was one without an Idempotency-Key that was waited for", gateway.ErrNotFound)
	case errors.Is(err, caller.ErrBusy):
		return fmt.Errorf("%w: %w", gateway.ErrBusy, err)
	case errors.Is(err, caller.ErrClosed):
		return fmt.Errorf("%w: %w", gateway.ErrNotReady, err)
	}
	return err
}

// mailboxes are the mailboxes as callers use them.
type mailboxes struct{ surface surface }

// Partitions implements caller.Mailboxes.
func (m mailboxes) Partitions() (int, error) {
	app, err := m.surface.app()
	if err != nil {
		return 0, err
	}
	return app.Partitions(), nil
}

// Put implements caller.Mailboxes.
func (m mailboxes) Put(ctx context.Context, msg *caller.Message) error {
	_, err := m.surface.store(ctx, broker.SendRequest{Target: msg.Target, Value: msg.Value, Trace: msg.Trace, Own: true, Caller: msg.Caller})
	if errors.Is(err, gateway.ErrUnknown) {
		return fmt.Errorf("%w: %w", caller.ErrUnknown, err)
	}
	return err
}
