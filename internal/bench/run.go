package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

const (
	firstPatience = 30 * time.Second
	drainPatience = 15 * time.Minute
	// stuck is how long a drain may go on without any record.
	stuck      = 30 * time.Second
	drainCheck = 5 * time.Millisecond
)

// Run measures. With an error that wraps ErrMismatch it also returns what it
// measured.
func Run(ctx context.Context, cfg Config) (result *Result, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	dir := cfg.Data
	if dir == "" {
		if dir, err = os.MkdirTemp("", "jetfn-bench-"); err != nil {
			return nil, fmt.Errorf("make a directory for the data: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	r := &run{cfg: cfg, dir: dir, ledger: newLedger(), clock: clock{time.Now()}}
	if err = r.open(ctx); err == nil {
		result, err = r.measure(ctx)
	}
	err = errors.Join(err, r.close())
	if ctx.Err() != nil {
		return nil, ctx.Err() // what else is wrong comes of that
	}
	return result, err
}

// run is a run in progress.
type run struct {
	cfg    Config
	dir    string
	ledger *ledger
	clock  clock

	function *child // nil unless it is remote
	worker   *child
	started  time.Duration // how long the worker took
	syncs    *syncCounter
	samples  []Sample
	began    time.Time // the measuring, if samples are taken
	sampled  time.Time // when the latest sample was due

	publishing, reading, asking *nats.Conn
	js                          jetstream.JetStream
	generator                   *generator
	reader                      *reader
	stopReading                 func()
}

// open starts the children and connects.
func (r *run) open(ctx context.Context) (err error) {
	if r.cfg.Profile != "" {
		if err := os.MkdirAll(r.cfg.Profile, 0o750); err != nil {
			return fmt.Errorf("make a directory for profiles: %w", err)
		}
	}
	worker := workerConfig{
		DataDir: r.dir, Sync: r.cfg.Sync, Partitions: r.cfg.Partitions, MaxPerTask: r.cfg.MaxPerTask,
		ProfileDir: r.cfg.Profile, EgressMaxAge: r.cfg.EgressMaxAge, Version: r.cfg.Version,
	}
	function := functionConfig{ProfileDir: r.cfg.Profile}
	switch r.cfg.Function {
	case FunctionHTTP:
		if r.function, err = startChild(ctx, r.cfg.Program, FunctionCommand, function); err != nil {
			return err
		}
		worker.Function = "http://" + r.function.HTTP + "/"
	case FunctionNATS:
		worker.Function = "nats://" + natsFunction
	}
	began := time.Now()
	r.syncs, err = countSyncs(func() (err error) {
		r.worker, err = startChild(ctx, r.cfg.Program, WorkerCommand, worker)
		return err
	})
	if err != nil {
		return err
	}
	r.started = time.Since(began)
	if r.cfg.Function == FunctionNATS {
		function.NATS = r.worker.NATS
		if r.function, err = startChild(ctx, r.cfg.Program, FunctionCommand, function); err != nil {
			return err
		}
	}
	return r.connect(ctx)
}

func (r *run) connect(ctx context.Context) (err error) {
	for _, c := range []struct {
		nc   **nats.Conn
		name string
	}{{&r.publishing, "bench generator"}, {&r.reading, "bench reader"}, {&r.asking, "bench"}} {
		if *c.nc, err = nats.Connect(r.worker.NATS, nats.Name(c.name)); err != nil {
			return fmt.Errorf("connect to %s: %w", r.worker.NATS, err)
		}
	}
	if r.js, err = jetstream.New(r.asking); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	if r.generator, err = newGenerator(r.publishing, r.ledger, r.clock, r.cfg); err != nil {
		return err
	}
	r.reader = newReader(r.ledger, r.clock, r.cfg.Keys, r.generator.delivered)
	r.stopReading, err = r.reader.consume(ctx, r.reading)
	return err
}

// close ends everything that open began.
func (r *run) close() error {
	for _, nc := range []*nats.Conn{r.publishing, r.reading, r.asking} {
		if nc != nil {
			nc.Close()
		}
	}
	if r.syncs != nil {
		r.syncs.close()
	}
	var problems []error
	children := []*child{r.worker, r.function}
	if r.cfg.Function == FunctionNATS {
		slices.Reverse(children) // it would see its server go
	}
	for _, c := range children {
		if c != nil {
			problems = append(problems, c.stop())
		}
	}
	return errors.Join(problems...)
}

// measure is the run itself.
func (r *run) measure(ctx context.Context) (*Result, error) {
	idle, err := r.worker.ask("idle")
	if err != nil {
		return nil, err
	}
	first, err := r.first(ctx)
	if err != nil {
		return nil, err
	}
	generating, stop := context.WithCancel(ctx)
	group, failed := errgroup.WithContext(generating)
	group.Go(func() error {
		if r.cfg.Rate > 0 {
			return r.generator.openLoop(failed, r.cfg.Rate)
		}
		return r.generator.closedLoop(failed)
	})
	_ = r.pass(failed, "warming up", r.cfg.Warmup, 0) // without samples nothing fails
	before, err := r.snapshot(ctx, orderBegin)
	if err == nil {
		r.ledger.begin(r.clock.now())
		err = r.pass(failed, "measuring", r.cfg.Duration, r.cfg.Sample)
	}
	ended := r.clock.now()
	invocations := r.ledger.end(ended)
	after, snapErr := r.snapshot(ctx, orderEnd)
	stop()
	if err := errors.Join(group.Wait(), err, snapErr, ctx.Err()); err != nil {
		return nil, err
	}
	result := r.result(before, after, invocations, ended)
	result.IdleRSS, result.FirstReply = idle.RSS, milliseconds(first)
	result.Backlog, result.Drain, err = r.drain(ctx)
	if err != nil {
		return nil, err
	}
	result.Samples, result.Refused = r.samples, r.ledger.refusedInAll()
	if result.Backlog > 0 && result.Drain > 0 {
		const perSecond = 1000
		result.DrainPerSecond = perSecond * float64(result.Backlog) / result.Drain
	}
	r.stopReading()
	r.ledger.fillLatencies(result)
	wrong := verify(ctx, "http://"+r.worker.HTTP, r.generator.sent, r.ledger, r.reader)
	result.Verified = wrong == nil
	if !r.cfg.NoLimits {
		if err := r.limits(ctx, result); err != nil {
			return nil, errors.Join(wrong, err)
		}
	}
	return result, wrong
}

// first sends one message and waits for its record.
func (r *run) first(ctx context.Context) (time.Duration, error) {
	r.generator.slots <- struct{}{}
	began := time.Now()
	if err := r.generator.publish(r.clock.now()); err != nil {
		return 0, err
	}
	for time.Since(began) < firstPatience && ctx.Err() == nil {
		if _, acked, delivered, _ := r.ledger.counts(); acked+delivered == 2 {
			return time.Since(began), nil
		}
		pause(ctx, 100*time.Microsecond)
	}
	return 0, errors.Join(fmt.Errorf("the first message caused no record within %v", firstPatience), ctx.Err())
}

// drain waits until all messages have their records, or no more come. Samples
// go on meanwhile.
func (r *run) drain(ctx context.Context) (backlog uint64, took float64, err error) {
	began, moved := time.Now(), time.Now()
	_, _, first, _ := r.ledger.counts()
	delivered := first
	for ctx.Err() == nil && time.Since(began) < drainPatience && time.Since(moved) < stuck {
		published, acked, now, _ := r.ledger.counts() // what is refused meanwhile isn't published
		if acked == published && now == published {
			break
		}
		if now != delivered {
			delivered, moved = now, time.Now()
		}
		if err := r.sampleEvery(ctx, r.cfg.Sample); err != nil {
			return 0, 0, err
		}
		pause(ctx, drainCheck)
	}
	published, _, _, _ := r.ledger.counts()
	return published - first, milliseconds(time.Since(began)), nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
