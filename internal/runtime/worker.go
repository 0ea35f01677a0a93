package runtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/caller"
	"github.com/jetfn/jetfn/internal/cron"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// longLived is how long a generation has to have lived for the next one to
// begin without delay.
const longLived = time.Minute

// Run is the life of a worker. It returns nil once ctx has ended and what was
// in flight is drained and durable, and an error when the worker can't go on.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return err
	}
	w, err := newWorker(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(w.run(ctx), w.close(ctx))
}

// worker is one process of an application.
type worker struct {
	cfg      Config
	name     string
	dir      *dataDir // nil unless embedded
	listener net.Listener
	security *httpSecurity
	logLevel *logLevel
	status   *status
	meters   *meters
	catalog  *catalog
	modules  *modules
	log      zerolog.Logger

	pauses   pauses
	censuses censuses
	services services

	// current is the generation that is ready; nil between generations.
	current atomic.Pointer[generation]

	desk      *caller.Desk             // where clients wait for answers
	maxAnswer atomic.Int64             // that can be kept, in bytes
	backbone  atomic.Pointer[backbone] // as long as it is open
}

// newWorker takes what another process may have: the directory and the port.
func newWorker(ctx context.Context, cfg Config) (*worker, error) {
	var level *logLevel
	cfg.Log, level = adjustable(cfg.Log)
	w := &worker{cfg: cfg, logLevel: level, name: workerName(), status: newStatus(), desk: caller.NewDesk(cfg.MaxCalls)}
	w.log = cfg.Log.With().Str("worker", w.name).Logger()
	if err := w.acquire(ctx); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, nil
}

func (w *worker) acquire(ctx context.Context) (err error) {
	told, err := telemetry.New(ctx, w.cfg.telemetry(w.name))
	if err != nil {
		return err
	}
	if w.meters, err = newMeters(told); err != nil {
		return err
	}
	w.catalog = newCatalog(w.meters.tally)
	w.catalog.set(layerProcess, ofProcess(w.cfg.Functions))
	if w.modules, err = newModules(w); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	w.catalog.bind(cron.Type(), &cron.Function{Ingresses: w.cronIngress})
	w.catalog.bind(actor.CallerType(), &caller.Function{MaxAnswer: func() int { return int(w.maxAnswer.Load()) }})
	w.meters.tally.knows = w.catalog.Known
	if err := w.watch(); err != nil {
		return err
	}
	if w.security, err = newHTTPSecurity(w.cfg.HTTP, w.log); err != nil {
		return err
	}
	if w.cfg.embedded() {
		if w.dir, err = openDataDir(w.cfg.DataDir); err != nil {
			return err
		}
	}
	w.listener, err = listen(ctx, "HTTP listener (--http)", w.cfg.HTTPAddr)
	return err
}

// close gives back what acquire took; the listener is closed by its server,
// or here if there was none.
func (w *worker) close(ctx context.Context) error {
	var problems []error
	if w.listener != nil {
		if err := w.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, fmt.Errorf("close HTTP listener: %w", err))
		}
	}
	if w.catalog != nil {
		w.catalog.close()
	}
	if w.dir != nil {
		problems = append(problems, w.dir.close())
	}
	if w.meters != nil {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
		defer cancel()
		problems = append(problems, w.meters.Close(limited))
	}
	return errors.Join(problems...)
}

// sample decides which traces that begin at calls are recorded; nil without
// traces.
func (w *worker) sample() func() bool {
	if w.meters.Tracer == nil {
		return nil
	}
	return w.meters.Tracer.Sample
}

// workerName is unique among all workers there ever are.
func workerName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	return actor.Escape(host) + "-" + rand.Text()[:8]
}

func (w *worker) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { close(w.meters.tally.tails.ended) })()
	group.Go(func() error { return gateway.Serve(ctx, w.listener, w.api(), w.serving()) })
	w.security.run(ctx, group.Go)
	group.Go(func() error { return w.work(ctx) })
	return group.Wait()
}

func (w *worker) api() http.Handler {
	return gateway.NewAPI(gateway.APIConfig{
		App: w.cfg.App, Version: w.cfg.Version,
		Sender: surface{w}, Caller: surface{w}, States: surface{w}, Functions: w.catalog, Readiness: w.status,
		DeadLetters: surface{w}, DeadLetterDesk: surface{w}, StateEditor: surface{w}, Pauses: surface{w}, Circuits: surface{w}, Timers: surface{w}, Tables: surface{w}, Modules: w.gatewayModules(),
		Sample: w.sample(), LogLevel: w.logLevel, Overview: surface{w}, Tail: w.meters.tally.tails,
		Metrics: w.meters.Handler, Access: w.access(), MaxBodyBytes: w.cfg.HTTP.MaxBodyBytes, MaxRequests: w.cfg.HTTP.MaxRequests, Log: w.cfg.Log,
	})
}

// work opens NATS and owns the partitions whenever it may, until ctx ends.
func (w *worker) work(ctx context.Context) error {
	w.status.set(phaseConnecting)
	b, err := openBackbone(ctx, w.cfg, w.modules, w.name, w.dir)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer b.close()
	defer w.services.attach(b)()
	keep, err := w.discover(ctx, b)
	if err != nil {
		return err
	}
	if w.cfg.Out != nil {
		if _, err := fmt.Fprint(w.cfg.Out, w.summary(b)); err != nil {
			return fmt.Errorf("write the start block: %w", err)
		}
	}
	watched, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end()
	watch.Go(func() { w.pauses.watch(watched, w, b.app) })
	w.modules.watch(watched, b.app, watch.Go)
	watch.Go(func() { keep(watched) })
	stop, err := w.takeCalls(ctx, b)
	if err != nil {
		return err
	}
	defer stop()
	return w.ownWhile(ctx, b)
}

// ownWhile owns the partitions as long as the embedded server, if there is
// one, can write: after the disk refused once it answers no write any more.
func (w *worker) ownWhile(ctx context.Context, b *backbone) error {
	if b.server == nil {
		return w.own(ctx, b)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var failure error
	var watch sync.WaitGroup
	done := make(chan struct{})
	watch.Go(func() {
		select {
		case failure = <-b.server.Failed():
			w.log.Error().Err(failure).Str("dir", w.cfg.DataDir).Msg("the disk refuses writes, ending")
			fail(failure)
		case <-done:
		}
	})
	err := w.own(ctx, b)
	close(done)
	watch.Wait()
	if failure != nil {
		return fmt.Errorf("the data directory %s can't be written, what was acknowledged is safe; make room and start again: %w", w.cfg.DataDir, failure)
	}
	return err
}

// own holds the lease whenever it can get it, until ctx ends.
func (w *worker) own(ctx context.Context, b *backbone) error {
	lease := b.app.Lease()
	for {
		w.status.set(phaseStandby)
		if err := lease.Acquire(ctx, w.name, w.cfg.embedded(), w.waiting); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // interrupted while it waited, as asked
			}
			return err
		}
		err := w.tenure(ctx, b, lease)
		if !errors.Is(err, broker.ErrLeaseLost) {
			w.release(ctx, lease)
			return err
		}
		w.log.Warn().Err(err).Msg("lease lost, standing by")
	}
}

// tenure runs one generation after another while the lease is held. It
// returns nil when ctx has ended, and an error that wraps ErrLeaseLost when
// the lease is another's.
func (w *worker) tenure(ctx context.Context, b *backbone, lease *broker.Lease) error {
	held, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var holder sync.WaitGroup
	defer holder.Wait()
	defer end(errStopped)
	holder.Go(func() {
		if err := lease.Hold(held); err != nil {
			end(err)
		}
	})
	delay := backoff.NewExponentialBackOff()
	delay.InitialInterval, delay.MaxInterval = 100*time.Millisecond, 10*time.Second
	for {
		began := time.Now()
		err := newGeneration(w, b).run(ctx, held)
		switch {
		case errors.Is(context.Cause(held), broker.ErrLeaseLost):
			return context.Cause(held)
		case errors.Is(err, ErrInUse):
			return err
		case ctx.Err() != nil:
			return nil
		}
		if time.Since(began) > longLived {
			delay.Reset()
		}
		wait := delay.NextBackOff()
		w.log.Warn().Err(err).Dur("retry_in", wait).Msg("partitions lost, recovering them")
		w.status.set(phaseRecovering)
		if !sleep(ctx, held, wait) {
			return ignoreStop(context.Cause(held))
		}
	}
}

func (w *worker) waiting(holder string) {
	w.log.Info().Str("holder", holder).Msg("another worker owns the partitions, standing by")
}

// release lets the next worker in without a wait. It is a courtesy: the
// lease ends by itself.
func (w *worker) release(ctx context.Context, lease *broker.Lease) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := lease.Release(limited); err != nil {
		w.log.Warn().Err(err).Msg("lease not released")
	}
}

// stats are those of the partitions owned now.
func (w *worker) stats() map[int]actor.Stats {
	g := w.current.Load()
	if g == nil {
		return nil
	}
	return g.stats()
}

// ignoreStop drops the cause of what was told to end.
func ignoreStop(cause error) error {
	if errors.Is(cause, errStopped) {
		return nil
	}
	return cause
}

// sleep waits, and reports whether both contexts went on all the time.
func sleep(ctx, held context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-held.Done():
		return false
	case <-t.C:
		return true
	}
}
