package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/module"
)

// openForeign opens the existing streams that the module reads, or tells all
// that is wrong with them.
func openForeign(ctx context.Context, app *broker.App, m *module.Module) ([]*broker.Foreign, error) {
	var problems []error
	var out []*broker.Foreign
	for _, in := range m.Ingresses {
		if in.Stream == "" {
			continue
		}
		f, err := app.OpenForeign(ctx, broker.ForeignConfig{
			Ingress: in.ID, Stream: in.Stream, Subject: in.Subject, Consumer: in.Consumer, ValueType: in.ValueType, Targets: in.Targets,
		})
		if err != nil {
			problems = append(problems, at(in.Pos, fmt.Errorf("ingress %s: %w", in.ID, err)))
			continue
		}
		out = append(out, f)
	}
	return out, errors.Join(problems...)
}

// missed are the records of existing streams that were removed before they
// were read, by ingress.
func (w *worker) missed() map[string]uint64 {
	g := w.current.Load()
	if g == nil {
		return nil
	}
	out := map[string]uint64{}
	for _, f := range g.foreigns() {
		out[f.Ingress().String()] = f.Missed()
	}
	return out
}
