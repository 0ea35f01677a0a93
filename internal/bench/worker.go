package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
)

const anyPort = "127.0.0.1:0"

// workerConfig is what the worker's child is told.
type workerConfig struct {
	DataDir      string        `json:"dataDir"`
	Sync         runtime.Sync  `json:"sync"`
	Partitions   int           `json:"partitions"`
	MaxPerTask   int           `json:"maxPerTask"`
	Function     string        `json:"function"` // its URL; empty: in the worker
	ProfileDir   string        `json:"profileDir,omitempty"`
	EgressMaxAge time.Duration `json:"egressMaxAge"`
	Version      string        `json:"version"`
}

// RunWorker is the child that is the worker.
func RunWorker(ctx context.Context, config string, in io.Reader, out io.Writer, log zerolog.Logger) error {
	var cfg workerConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	calls := &atomic.Uint64{}
	rc, err := cfg.runtime(calls)
	if err != nil {
		return err
	}
	rc.Log = log
	ready := make(chan runtime.Addresses, 1)
	rc.OnReady = func(a runtime.Addresses) {
		select {
		case ready <- a:
		default: // it was ready before
		}
	}
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stop()
		runtime.TuneCollector()
		return runtime.Run(ctx, rc)
	})
	group.Go(func() error {
		defer stop()
		select {
		case <-ctx.Done():
			return nil
		case a := <-ready:
			return obey(ctx, in, out, readiness{HTTP: a.HTTP, NATS: a.NATS}, &profiler{dir: cfg.ProfileDir, prefix: "worker"}, calls)
		}
	})
	return group.Wait()
}

// runtime is the configuration of the worker itself.
func (c *workerConfig) runtime(calls *atomic.Uint64) (runtime.Config, error) {
	text := fmt.Sprintf("kind: io.jetfn.nats.v1/egress\nspec:\n  id: %s\n", egressID())
	cfg := runtime.Config{
		App: appName, Version: c.Version, DataDir: c.DataDir, Sync: c.Sync,
		HTTPAddr: anyPort, NATSListen: anyPort, Partitions: c.Partitions, MaxPerTask: c.MaxPerTask,
		EgressMaxAge: c.EgressMaxAge,
	}
	if c.Function == "" {
		cfg.Functions = map[actor.TypeName]actor.FunctionSpec{counterType(): {Function: counter{calls}, Endpoint: "embedded"}}
	} else {
		text += fmt.Sprintf("---\nkind: io.statefun.endpoints.v2/http\nspec:\n  functions: %s\n  urlPathTemplate: %s\n", counterType(), c.Function)
	}
	m, found := module.Parse([]module.Source{{Name: "bench", Data: []byte(text)}}, module.Options{Strict: true})
	if len(found) > 0 {
		return cfg, found
	}
	cfg.Module = m
	return cfg, nil
}
