package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/demo"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// demoPatience is how long the demo waits for anything.
const demoPatience = 20 * time.Second

// demoCommand is jetfn demo.
type demoCommand struct {
	HTTP       string `name:"http" help:"Address of the HTTP listener; the default is 127.0.0.1:8080, or any free port."`
	NATSListen string `name:"nats-listen" help:"Address of the embedded NATS server; the default is 127.0.0.1:4222, or any free port."`
	Once       bool   `help:"End after the two rounds."`
	Trace      bool   `help:"Show the way of one message, as a trace."`
}

// Run shows the main job: names go in, greetings come out, counts go up.
func (d *demoCommand) Run(ctx context.Context, c console, log zerolog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "jetfn-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the demo's function: %w", err)
	}
	url := fmt.Sprintf("http://%s/", ln.Addr())
	m, found := module.Parse([]module.Source{{Name: "demo", Data: []byte(demo.Module(url))}}, module.Options{Strict: true})
	if len(found) > 0 {
		return errors.Join(found, ln.Close())
	}

	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	group, running := errgroup.WithContext(ctx)
	var function errgroup.Group // it serves until the last call is drained
	function.Go(func() error { return gateway.Serve(serving, ln, demo.Greeter(), gateway.ServeConfig{Log: log}) })
	var told telemetry.Options
	spans := &telemetry.Recorder{}
	if d.Trace {
		told.Spans = spans
	}
	ready := make(chan runtime.Addresses, 1)
	running, stop := context.WithCancel(running)
	group.Go(func() error {
		defer stopServing()
		return runtime.Run(running, runtime.Config{
			Module: m, Version: buildOf().Version, DataDir: dir,
			HTTPAddr: orFree(ctx, d.HTTP, "127.0.0.1:8080"), NATSListen: orFree(ctx, d.NATSListen, "127.0.0.1:4222"),
			Out: c.out, Telemetry: told,
			OnReady: func(a runtime.Addresses) {
				select {
				case ready <- a:
				default:
				}
			},
			Log: log.Level(max(zerolog.WarnLevel, log.GetLevel())),
		})
	})
	group.Go(func() error {
		select {
		case <-running.Done():
			return nil
		case a := <-ready:
			err := d.show(running, c.out, a, spans)
			if err != nil || d.Once {
				stop()
			}
			return ignoreInterrupt(ctx, err)
		}
	})
	err = group.Wait()
	stop()
	stopServing()
	return errors.Join(err, function.Wait())
}

// ignoreInterrupt drops the error of what the user has ended.
func ignoreInterrupt(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end was asked for
	}
	return err
}

// orFree is chosen, or else preferred if it is free, or else any free port.
func orFree(ctx context.Context, chosen, preferred string) string {
	if chosen != "" {
		return chosen
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", preferred)
	if err != nil {
		return "127.0.0.1:0"
	}
	if ln.Close() != nil {
		return "127.0.0.1:0"
	}
	return preferred
}

func (d *demoCommand) show(ctx context.Context, out io.Writer, a runtime.Addresses, spans *telemetry.Recorder) error {
	limited, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	nc, err := nats.Connect(a.NATS, nats.Name("jetfn demo"))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", a.NATS, err)
	}
	defer nc.Close()
	greetings, err := nc.SubscribeSync("jetfn.egress.demo.greetings.>")
	if err != nil {
		return fmt.Errorf("listen to the greetings: %w", err)
	}
	server := serverFlags{Server: "http://" + a.HTTP, Timeout: demoPatience}
	for round := 1; round <= 2; round++ {
		printf(out, "\nround %d\n", round)
		if err := greetAll(limited, out, server, greetings); err != nil {
			return err
		}
	}
	if d.Trace {
		if err := showTrace(limited, out, spans); err != nil {
			return err
		}
	}
	if d.Once {
		return nil
	}
	tellMore(out, a)
	return nil
}

// greetAll sends some names, and waits for their greetings.
func greetAll(ctx context.Context, out io.Writer, server serverFlags, greetings *nats.Subscription) error {
	names := []string{"Ada", "Grace", "Alan"}
	header := http.Header{"Content-Type": {"text/plain"}}
	for _, name := range names {
		var stored receipt
		if err := server.do(ctx, http.MethodPost, "/v1/send/"+demo.Function+"/"+name, header.Clone(), []byte("hello"), &stored); err != nil {
			return fmt.Errorf("send to %s: %w", name, err)
		}
		printf(out, "  sent      %s/%s (partition %d)\n", demo.Function, name, stored.Partition)
	}
	for range names {
		m, err := greetings.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("wait for a greeting: %w", err)
		}
		printf(out, "  received  %s\n", m.Data)
	}
	return nil
}

// showTrace draws the trace of the first message.
func showTrace(ctx context.Context, out io.Writer, spans *telemetry.Recorder) error {
	for {
		for _, s := range spans.Spans() {
			if s.Parent == "" && whole(spans.Spans(), s.Trace) {
				printf(out, "\ntrace %s\n", s.Trace)
				return telemetry.WriteTree(out, spans.Spans(), s.Trace, telemetry.Timing) //nolint:wrapcheck // of the writer, whom nobody asks
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a trace: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// whole reports whether a trace has come to its end: its effects are in place.
func whole(spans []telemetry.SpanView, trace string) bool {
	return slices.ContainsFunc(spans, func(s telemetry.SpanView) bool { return s.Trace == trace && s.Name == "apply" })
}

func tellMore(out io.Writer, a runtime.Addresses) {
	printf(out, `
It goes on until you press Ctrl-C. Try, in another terminal:

  curl -d hello -H 'Content-Type: text/plain' http://%[1]s/v1/send/%[2]s/Ada
  curl http://%[1]s/v1/state/%[2]s/Ada

  nats -s %[3]s sub 'jetfn.egress.>'
  nats -s %[3]s pub jetfn.fn.example.greeter.Ada hello
  nats -s %[3]s kv get jetfn_state example.greeter.Ada

  jetfn send --server http://%[1]s %[2]s/Ada hello
  jetfn state get --server http://%[1]s %[2]s/Ada
`, a.HTTP, demo.Function, a.NATS)
}
