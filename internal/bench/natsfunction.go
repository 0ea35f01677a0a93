package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

// natsFunction is the subject of the workload's function as a NATS service.
const natsFunction = "bench.function"

// serveNATS answers the calls of the function at a server while f runs.
func serveNATS(url string, calls *atomic.Uint64, f func() error) error {
	nc, err := nats.Connect(url, nats.Name("bench function"))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", url, err)
	}
	defer nc.Close()
	sub, err := nc.QueueSubscribe(natsFunction, "functions", func(m *nats.Msg) {
		calls.Add(1)
		answer, err := answerCall(m.Data)
		reply := &nats.Msg{Data: answer}
		if err != nil {
			reply.Header = nats.Header{"Nats-Service-Error-Code": {"500"}, "Nats-Service-Error": {err.Error()}}
		}
		_ = m.RespondMsg(reply) // who has gone doesn't miss it
	})
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
	}
	if err != nil {
		return fmt.Errorf("serve %s: %w", natsFunction, err)
	}
	return f()
}

// natsLoop calls a function as often as it can with nats.go's requests: one
// message a call, with the bytes that the worker would send.
type natsLoop struct {
	url      string
	calls    int // in flight
	size     int // of the message
	duration time.Duration
}

// run returns how many calls were answered in what time.
func (n *natsLoop) run(ctx context.Context) (uint64, time.Duration, error) {
	body, err := sampleCall(n.size)
	if err != nil {
		return 0, 0, err
	}
	nc, err := nats.Connect(n.url, nats.Name("bench limit"))
	if err != nil {
		return 0, 0, fmt.Errorf("connect to %s: %w", n.url, err)
	}
	defer nc.Close()
	var answered atomic.Uint64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range n.calls {
		group.Go(func() error {
			for time.Since(began) < n.duration {
				if m, err := nc.RequestWithContext(ctx, natsFunction, body); err != nil || len(m.Data) == 0 {
					return fmt.Errorf("the function answered nothing: %w", err)
				}
				answered.Add(1)
			}
			return nil
		})
	}
	err = group.Wait()
	return answered.Load(), time.Since(began), err
}
