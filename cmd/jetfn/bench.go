package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/internal/bench"
	"github.com/jetfn/jetfn/internal/runtime"
)

// benchCommand is jetfn bench.
type benchCommand struct {
	Function     string        `default:"embedded" enum:"embedded,http,nats" help:"Where the function is: ${enum}."`
	Keys         int           `default:"1000" help:"Number of addresses."`
	Inflight     int           `default:"1024" help:"Messages in flight, from their publish to their record (closed loop)."`
	Rate         float64       `default:"0" help:"Messages a second, whatever becomes of them (open loop); 0: closed loop."`
	Payload      int           `default:"150" help:"Bytes of a message."`
	Sync         string        `default:"always" enum:"always,group,interval" help:"When the embedded server writes to disk, as for jetfn run."`
	Duration     time.Duration `default:"10s" help:"How long to measure."`
	Warmup       time.Duration `default:"2s" help:"How long to run before."`
	Partitions   int           `default:"64" help:"Number of partitions."`
	Workers      int           `default:"1" help:"Number of workers; only 1 for now."`
	MaxPerTask   int           `default:"1024" help:"Calls of functions in flight."`
	Limits       bool          `default:"true" negatable:"" help:"Measure the raw limits of the machine too."`
	LimitTime    time.Duration `default:"3s" help:"How long to measure each limit."`
	Sample       time.Duration `default:"0s" help:"How often to note memory, disk and backlog; 0: never."`
	Bounded      bool          `help:"Fail if memory, journal or disk grow, or a backlog drains slowly; needs --sample."`
	DrainLeast   float64       `default:"0" help:"Records a second with which a backlog has to drain, with --bounded; 0: four fifths of those while it grew."`
	EgressMaxAge time.Duration `default:"168h" help:"How long records are kept."`
	Data         string        `help:"Directory for the data, which must be new or empty; the default is a temporary one."`
	Profile      string        `placeholder:"DIR" help:"Write CPU, mutex, block and allocation profiles there."`
	Output       output        `short:"o" default:"text" enum:"text,json" help:"Format: ${enum}."`
}

// Run measures and prints what it found. It fails if the results are wrong.
func (b *benchCommand) Run(ctx context.Context, c console) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	result, err := bench.Run(ctx, bench.Config{
		Function: b.Function, Keys: b.Keys, InFlight: b.Inflight, Rate: b.Rate, Payload: b.Payload, Sync: runtime.Sync(b.Sync),
		Warmup: b.Warmup, Duration: b.Duration, Partitions: b.Partitions, Workers: b.Workers, MaxPerTask: b.MaxPerTask,
		EgressMaxAge: b.EgressMaxAge, Sample: b.Sample, NoLimits: !b.Limits, LimitDuration: b.LimitTime, Data: b.Data, Profile: b.Profile,
		Program: bench.Program{Path: path, Name: os.Args[0]}, Version: buildOf().Version, Progress: c.err,
	})
	if errors.Is(err, bench.ErrUsage) {
		err = usage{err}
	}
	if result == nil {
		return err
	}
	if b.Bounded {
		err = errors.Join(err, result.Bounded(b.DrainLeast))
	}
	if b.Output == outputJSON {
		return errors.Join(err, json.NewEncoder(c.out).Encode(result))
	}
	return errors.Join(err, result.WriteText(c.out))
}

// benchWorkerCommand is the worker that jetfn bench starts.
type benchWorkerCommand struct {
	Config string `arg:""`
}

// Run is a worker until its standard input ends.
func (b *benchWorkerCommand) Run(ctx context.Context, c console, log zerolog.Logger) error {
	return bench.RunWorker(ctx, b.Config, c.in, c.out, log.Level(max(zerolog.WarnLevel, log.GetLevel())))
}

// benchFunctionCommand is the function that jetfn bench starts.
type benchFunctionCommand struct {
	Config string `arg:""`
}

// Run serves the function until its standard input ends.
func (b *benchFunctionCommand) Run(ctx context.Context, c console) error {
	return bench.RunFunction(ctx, b.Config, c.in, c.out)
}
