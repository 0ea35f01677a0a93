package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// runCommand is jetfn run.
type runCommand struct {
	Files []string `arg:"" name:"file" help:"Module files."`

	App  string `default:"jetfn" help:"Name of the application."`
	HTTP string `name:"http" default:"127.0.0.1:8080" help:"Address of the HTTP listener."`

	Data       string `default:"./jetfn-data" help:"Data directory of the embedded NATS server."`
	NATSListen string `name:"nats-listen" default:"127.0.0.1:4222" help:"Address of the embedded NATS server."`
	Sync       string `default:"always" enum:"always,group,interval" help:"When the embedded server writes to disk: always, each message before it is acknowledged; group, many at once before jetfn acknowledges them (Linux, ext4); or at an interval of a second, which may lose the last moments at a power failure."`

	NATS     []string  `name:"nats" placeholder:"URL" help:"Servers of an existing NATS to use instead of the embedded one."`
	Security natsFlags `embed:""`
	Replicas int       `default:"1" help:"Copies of each stream in the NATS cluster; only 1 for now."`

	Partitions     int           `default:"0" placeholder:"64" help:"Number of partitions; only when the application is created."`
	History        time.Duration `default:"0s" help:"How long the journal is kept beyond need."`
	MaxPerTask     int           `default:"1024" help:"Calls of functions in flight."`
	MaxCalls       int           `default:"10000" help:"Clients that wait for the answer to a call, at most."`
	EgressMaxAge   time.Duration `default:"168h" help:"How long egress, ingress and dead-letter streams keep messages."`
	EgressMaxBytes int64         `default:"0" help:"Size at which the egress stream refuses new messages; 0: none."`

	Watch       bool          `default:"true" negatable:"" help:"Make a changed module file take effect at once."`
	ResetModule bool          `help:"Use the files even if another module was applied since they were changed."`
	RemovedWait time.Duration `default:"1h" help:"How long messages wait for a function that the module has no more, until they become dead letters; 0s: not at all."`

	Limits       limitFlags `embed:""`
	HTTPListener httpFlags  `embed:"" prefix:"http-"`

	OTLP string `name:"otlp" placeholder:"URL" help:"Collector that gets metrics and traces, as http://host:4318; what the variables OTEL_* say holds too."`

	NoDiscovery    bool   `name:"no-discovery" help:"Leave aside functions that services on NATS announce; only those of the module count."`
	NATSForKafka   bool   `name:"nats-for-kafka" help:"Make topics of Kafka and streams of Kinesis NATS subjects, to try an application without them."`
	PlaygroundHost string `default:"127.0.0.1" help:"Host that the playground's ports listen on."`
	Strict         bool   `help:"Refuse unknown keys in modules."`
	Insecure       bool   `help:"Listen on other than loopback addresses although there are no credentials."`
}

// Run reads the modules and runs them until ctx ends.
func (r *runCommand) Run(ctx context.Context, c console, log zerolog.Logger) error {
	sources, m, found := module.LoadSources(r.Files, module.Options{Strict: r.Strict, Advise: true})
	for _, d := range found {
		printf(c.err, "%s\n", diagnostic(c.err, d))
	}
	if n := len(found.Errors()); n > 0 {
		printf(c.err, "jetfn: %d %s in modules\n", n, plural(n, "error"))
		return reported{exitFailure}
	}
	runtime.TuneCollector()
	return runtime.Run(ctx, runtime.Config{
		Module: m, NATSForKafka: r.NATSForKafka, NoDiscovery: r.NoDiscovery, App: r.App, Version: buildOf().Version,
		NATSURLs: r.NATS, NATS: r.Security.config(), DataDir: r.Data, NATSListen: r.NATSListen, Sync: runtime.Sync(r.Sync),
		HTTPAddr: r.HTTP, HTTP: r.HTTPListener.config(), PlaygroundHost: r.PlaygroundHost, Insecure: r.Insecure,
		Partitions: r.Partitions, Replicas: r.Replicas, History: r.History, MaxPerTask: r.MaxPerTask, MaxCalls: r.MaxCalls,
		EgressMaxAge: r.EgressMaxAge, EgressMaxBytes: r.EgressMaxBytes,
		Limits: r.Limits.config(), Telemetry: telemetry.Options{Endpoint: r.OTLP},
		Sources: sources, Files: r.Files, Watch: r.Watch, Strict: r.Strict,
		ResetModule: r.ResetModule, RemovedWait: notAtAll(r.RemovedWait),
		Out: c.out, Log: log,
	})
}

// notAtAll is a duration of which zero is not the default.
func notAtAll(d time.Duration) time.Duration {
	if d <= 0 {
		return -1
	}
	return d
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
