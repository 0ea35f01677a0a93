package broker

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const (
	foreignRetryMax  = 15 * time.Second
	missedWarnPause  = 10 * time.Second
	foreignNameSplit = "_"
)

// ForeignConfig is an ingress that reads a stream of somebody else.
type ForeignConfig struct {
	Ingress actor.TypeName
	Stream  string
	Subject string // filter; empty: the consumer's, or none
	// Consumer is a durable one whose filter and position are taken over when
	// the ingress is opened for the first time; empty: none.
	Consumer  string
	ValueType string // empty: each message says its own
	Targets   []actor.TypeName
}

// Foreign reads a stream of somebody else. It acknowledges and removes
// nothing there: the position is in the commits of the one partition that the
// records go to.
type Foreign struct {
	app    *App
	cfg    ForeignConfig
	record foreignRecord
	missed atomic.Uint64

	pending atomic.Uint64
}

// Source is what the partition knows the stream as.
func (f *Foreign) Source() actor.Source { return actor.ForeignSource(f.cfg.Ingress) }

// Config is what it was opened with.
func (f *Foreign) Config() ForeignConfig { return f.cfg }

// Ingress is its id.
func (f *Foreign) Ingress() actor.TypeName { return f.cfg.Ingress }

// Partition is the one that all records go to.
func (f *Foreign) Partition() int {
	return actor.PartitionOf(f.cfg.Ingress.String(), f.app.creation.Partitions)
}

// Missed counts the records, in this process, that were removed from the
// stream before they were read. With a filter these are at most so many.
func (f *Foreign) Missed() uint64 { return f.missed.Load() }

// Pending is how many records the stream held behind the newest one read, when
// that was read.
func (f *Foreign) Pending() uint64 { return f.pending.Load() }

// Feed hands each record to deliver, in stream order, from sequence start on,
// but not from before where the ingress began. Targets know a record by the
// last token of its subject. Feed returns nil when ctx ends, and the error of
// deliver; whatever becomes of the stream, it goes on trying.
func (f *Foreign) Feed(ctx context.Context, worker string, start uint64, deliver Deliver) error {
	r := &foreignRun{
		Foreign: f, worker: worker, next: max(start, f.record.Start, 1), partition: f.Partition(),
		begun: start > 1 || f.record.Consumer != "", deliver: deliver,
	}
	return r.run(ctx)
}

// foreignRun is one run of Feed.
type foreignRun struct {
	*Foreign

	worker    string
	next      uint64 // sequence to go on at
	partition int
	begun     bool // the records before next are consumed
	deliver   Deliver
	failure   error // of deliver

	warned  time.Time
	pending uint64 // missed and not told yet
}

func (r *foreignRun) run(ctx context.Context) error {
	wait := feedRetryMin
	for {
		before := r.next
		err := r.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of ctx is the normal end
		case r.failure != nil:
			return r.failure
		}
		if r.next > before {
			wait = feedRetryMin
		}
		r.app.cfg.Log.Warn().Err(err).Stringer("ingress", r.cfg.Ingress).Str("stream", r.cfg.Stream).Uint64("seq", r.next).
			Dur("retry_in", wait).Msg("existing stream can't be read, trying again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, foreignRetryMax)
	}
}

// follow reads until something fails.
func (r *foreignRun) follow(ctx context.Context) error {
	info, err := r.app.foreignStream(ctx, r.cfg.Stream)
	if err == nil {
		err = r.record.same(info)
	}
	if err != nil {
		return err
	}
	if first := info.State.FirstSeq; r.begun && first > r.next {
		r.miss(first - r.next)
		r.next = first
	}
	cfg := jetstream.ConsumerConfig{
		Name:           consumerName(strings.Join([]string{r.worker, r.cfg.Ingress.Namespace, r.cfg.Ingress.Name}, foreignNameSplit)),
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    r.next,
		FilterSubjects: r.filters(),
	}
	return r.app.follow(ctx, r.cfg.Stream, cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error { return r.take(ctx, m, md) })
}

func (r *foreignRun) take(ctx context.Context, m jetstream.Msg, md *jetstream.MsgMetadata) error {
	seq := md.Sequence.Stream
	if r.begun && seq > r.next && len(r.filters()) == 0 {
		r.miss(seq - r.next)
	}
	err := r.deliver(ctx, r.partition, r.decode(m, md))
	if err != nil {
		r.failure = err
		return errFeedFailed
	}
	r.next, r.begun = seq+1, true
	return nil
}

// miss counts records that are gone, and warns now and then.
func (r *foreignRun) miss(n uint64) {
	r.missed.Add(n)
	r.pending += n
	if time.Since(r.warned) < missedWarnPause {
		return
	}
	r.app.cfg.Log.Warn().Stringer("ingress", r.cfg.Ingress).Str("stream", r.cfg.Stream).Uint64("seq", r.next).Uint64("records", r.pending).
		Msg("records of an existing stream were removed before they were read, passed over")
	r.warned, r.pending = time.Now(), 0
}

// filters select the subjects to read; none means all.
func (f *Foreign) filters() []string {
	if f.cfg.Subject != "" {
		return []string{f.cfg.Subject}
	}
	return f.record.Filters
}

// decode makes a delivery of a record: one input, which goes to all targets.
func (f *Foreign) decode(m jetstream.Msg, md *jetstream.MsgMetadata) actor.Delivery {
	f.pending.Store(md.NumPending)
	s := &stored{subject: m.Subject(), said: saidIn(m.Headers()), data: m.Data(), seq: md.Sequence.Stream, time: md.Timestamp}
	s.said.delay = ""
	target := actor.Address{Type: f.cfg.Targets[0], ID: keyIn(s.subject)}
	in := input(s, target, f.cfg.ValueType)
	in.Route = &actor.Route{Targets: f.cfg.Targets}
	return actor.Delivery{Source: f.Source(), Seq: s.seq, Time: s.time.UnixMilli(), Inputs: []actor.Input{in}}
}

// keyIn is the last token of a subject, unescaped if jetfn would have escaped
// it so: a key means the same address wherever it comes in.
func keyIn(subject string) string {
	last := subject[strings.LastIndexByte(subject, '.')+1:]
	if text, err := actor.Unescape(last); err == nil && actor.Escape(text) == last {
		return text
	}
	return last
}

var errNoForeignStream = errors.New("there is no such stream")

// foreignStream looks a stream up.
func (a *App) foreignStream(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, foreignLookLimit)
	defer cancel()
	stream, err := a.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, errNoForeignStream
	}
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}
