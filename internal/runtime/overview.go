package runtime

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
)

// inspectedTimers is how many timers of an address are shown.
const inspectedTimers = 20

// Partitions implements gateway.Overview.
func (s surface) Partitions(context.Context) ([]gateway.PartitionInfo, error) {
	g, err := s.generation()
	if err != nil {
		return nil, err
	}
	return g.partitions(), nil
}

func (g *generation) partitions() []gateway.PartitionInfo {
	out := make([]gateway.PartitionInfo, len(g.seats))
	for i, seat := range g.seats {
		n := seat.processor.Stats()
		out[i] = gateway.PartitionInfo{
			Partition: seat.partition, Owner: g.worker.name, Up: !seat.down(), Epoch: n.Epoch, Commits: n.Commits, ApplyLag: n.Unapplied,
			CheckpointAge: checkpointAge(n.CheckpointAt), Waiting: n.Resident + n.Spilled, Timers: n.Timers, EgressPending: n.EgressPending,
		}
		if !out[i].Up {
			out[i].Reason = g.worker.status.downReason(seat.partition)
		}
	}
	return out
}

// Top implements gateway.Overview.
func (s surface) Top(ctx context.Context) (gateway.Top, error) {
	g, err := s.generation()
	if err != nil {
		return gateway.Top{}, err
	}
	w, now := s.worker, time.Now().UnixMilli()
	out := gateway.Top{
		At: now, Worker: w.name, Inflight: w.meters.tally.inflight.Load(), Max: actor.CallsLimit(w.cfg.MaxPerTask),
		Functions: []gateway.TopFunction{}, Parts: g.partitions(),
	}
	census := w.census(ctx)
	w.meters.tally.each(func(name actor.TypeName, c *counters) {
		if name.IsZero() && c.in.Load()+c.deadLetters.Load() == 0 {
			return
		}
		n := census[name]
		out.Functions = append(out.Functions, gateway.TopFunction{
			Type: name.String(), In: c.in.Load(), Done: int64(c.endToEnd.Count()), Calls: int64(c.latency.Count()),
			Failures: c.failures.Load(), Retries: c.retries.Load(), DeadLetters: c.deadLetters.Load(), Inflight: c.inflight.Load(),
			Backlog: n.Waiting, BacklogAge: n.Age(now), Retrying: n.Retrying,
			Latency: c.latency.Sum(), P50: c.latency.Quantile(0.5), P99: c.latency.Quantile(0.99), Paused: s.Paused(actor.PauseType(name)),
		})
	})
	slices.SortFunc(out.Functions, func(a, b gateway.TopFunction) int {
		return cmp.Or(cmp.Compare(b.In, a.In), strings.Compare(a.Type, b.Type))
	})
	return out, nil
}

// Inspect implements gateway.Overview.
func (s surface) Inspect(ctx context.Context, a actor.Address) (gateway.Inspection, error) {
	g, err := s.generation()
	if err != nil {
		return gateway.Inspection{}, err
	}
	state, err := g.query(ctx, a)
	if err != nil && !errors.Is(err, gateway.ErrNotFound) {
		return gateway.Inspection{}, err
	}
	out := gateway.Inspection{
		Address: a.String(), Partition: a.Partition(g.app.Partitions()), Owner: s.worker.name, Function: s.worker.catalog.info(a.Type),
		State: gateway.NewAddressState(a, state), Messages: []gateway.QueuedMessage{}, Timers: []gateway.Timer{},
	}
	view, err := g.seats[out.Partition].processor.View(ctx, a)
	if err != nil {
		return gateway.Inspection{}, err
	}
	fill(&out, &view)
	if timers, _, err := s.Timers(ctx, gateway.TimerQuery{Target: a, Limit: inspectedTimers}); err == nil && timers != nil {
		out.Timers = timers
	}
	out.DeadLetter, err = s.newestLetter(ctx, g, a)
	return out, err
}

func (s surface) newestLetter(ctx context.Context, g *generation, a actor.Address) (*gateway.DeadLetter, error) {
	stored, err := g.app.NewestLetter(ctx, a)
	if errors.Is(err, actor.ErrNotFound) {
		return nil, nil //nolint:nilnil // it has none
	}
	if err != nil {
		return nil, err
	}
	letters, err := g.described(ctx, []broker.StoredLetter{stored})
	if err != nil || len(letters) == 0 {
		return nil, err
	}
	return &letters[0], nil
}

// fill adds what the partition tells of the address.
func fill(out *gateway.Inspection, v *actor.AddressView) {
	out.Phase, out.Paused, out.Waiting, out.InCall = v.Phase, v.Barred, v.Waiting, v.InCall
	out.Attempts, out.FirstAt, out.CalledAt = v.Calls, v.FirstAt, v.CalledAt
	if f := v.Failure; f != nil {
		out.LastError = &gateway.LastError{At: v.FailedAt, Reason: f.Reason, Error: f.Error(), HTTPStatus: f.HTTPStatus, Endpoint: f.Endpoint}
	}
	for i := range v.Messages {
		m := &v.Messages[i]
		q := gateway.QueuedMessage{
			ID:   string(m.ID.Source) + "/" + strconv.FormatUint(m.ID.Seq, 10) + "/" + strconv.Itoa(m.ID.Index),
			Type: m.Envelope.Value.Type, Bytes: len(m.Envelope.Value.Data), Text: shortText(m.Envelope.Value),
			StoredAt: m.Envelope.StoredAt, InCall: m.InCall, TraceID: m.Envelope.Trace.ID(),
		}
		if !m.Envelope.Caller.IsZero() {
			q.Caller = m.Envelope.Caller.String()
		}
		out.Messages = append(out.Messages, q)
	}
}
