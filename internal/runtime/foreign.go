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
func (b *backbone) openForeign(ctx context.Context, m *module.Module) error {
	var problems []error
	for _, in := range m.Ingresses {
		if in.Stream == "" {
			continue
		}
		f, err := b.app.OpenForeign(ctx, broker.ForeignConfig{
			Ingress: in.ID, Stream: in.Stream, Subject: in.Subject, Consumer: in.Consumer, ValueType: in.ValueType, Targets: in.Targets,
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: ingress %s: %w", in.Pos, in.ID, err))
			continue
		}
		b.foreign = append(b.foreign, f)
	}
	return errors.Join(problems...)
}

// feedForeign starts the feeds of the existing streams whose partitions are
// up.
func (g *generation) feedForeign(intake context.Context, stop context.CancelCauseFunc) {
	for _, f := range g.foreign {
		s := g.seats[f.Partition()]
		if s.down() {
			continue
		}
		start := s.processor.Position(f.Source())
		g.spawn(&g.intake, stop, func() error {
			err := f.Feed(intake, g.worker.name, start, g.read.counted(f.Source(), start, g.worker.rooted(g.app).deliver(g.deliver)))
			if err == nil && intake.Err() == nil {
				return fmt.Errorf("the feed of the ingress %s ended by itself", f.Ingress())
			}
			return err
		})
	}
}

// missed are the records of existing streams that were removed before they
// were read, by ingress.
func (w *worker) missed() map[string]uint64 {
	g := w.current.Load()
	if g == nil {
		return nil
	}
	out := make(map[string]uint64, len(g.foreign))
	for _, f := range g.foreign {
		out[f.Ingress().String()] = f.Missed()
	}
	return out
}
