package runtime

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// maxEndpointsTold bounds the endpoints in the metrics: below a namespace
// binding outsiders can make them up.
const maxEndpointsTold = 200

// circuitChanged logs that an endpoint can't be reached, or again can be.
func (w *worker) circuitChanged(s actor.EndpointState) {
	if s.Circuit == actor.CircuitClosed {
		w.log.Info().Str("endpoint", s.Endpoint).Msg("endpoint can be reached again")
		return
	}
	w.log.Warn().Str("endpoint", s.Endpoint).Err(s.Err).Time("since", s.Since).Msg("endpoint can't be reached, its messages wait")
}

// endpoints are those that were called since the partitions are owned.
func (w *worker) endpoints() []actor.EndpointState {
	g := w.current.Load()
	if g == nil {
		return nil
	}
	return g.calls.Endpoints()
}

// Circuit implements gateway.Circuits.
func (s surface) Circuit(t actor.TypeName, template string) *gateway.CircuitInfo {
	if t.Name != actor.AnyName {
		template = strings.ReplaceAll(template, functionName, t.Name)
	}
	if template == "" {
		return nil
	}
	list := slices.DeleteFunc(s.worker.endpoints(), func(e actor.EndpointState) bool { return !produces(template, e.Endpoint) })
	if len(list) == 0 {
		return nil
	}
	worst := slices.MaxFunc(list, func(a, b actor.EndpointState) int { return cmp.Compare(a.Circuit, b.Circuit) })
	out := &gateway.CircuitInfo{
		Endpoint: worst.Endpoint, State: worst.Circuit.String(), InFlight: worst.InFlight, Waiting: worst.Waiting, Limit: worst.Limit,
	}
	if worst.Err != nil {
		out.Since, out.Error, out.ErrorAt = timeText(worst.Since), worst.Err.Error(), timeText(worst.ErrAt)
	}
	return out
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// watchCircuits reports how the calls to endpoints are doing.
func (w *worker) watchCircuits() error {
	const prefix = "jetfn_endpoint_"
	return w.meters.Watch(func(_ context.Context, r *telemetry.Report) {
		list := slices.DeleteFunc(w.endpoints(), func(e actor.EndpointState) bool { return !strings.Contains(e.Endpoint, "://") }) // in this process
		for _, e := range list[:min(len(list), maxEndpointsTold)] {
			label := metric.WithAttributes(attribute.String("endpoint", e.Endpoint))
			r.Tell(prefix+"circuit", int64(e.Circuit), label)
			r.Tell(prefix+"calls", int64(e.InFlight), label)
			r.Tell(prefix+"callsWaiting", int64(e.Waiting), label)
			r.Tell(prefix+"callsLimit", int64(e.Limit), label)
		}
	}, prefix+"circuit", prefix+"calls", prefix+"callsWaiting", prefix+"callsLimit")
}
