package runtime

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/cron"
	"github.com/jetfn/jetfn/internal/module"
)

// cronIngress is the module's cron ingress with an id.
func (w *worker) cronIngress(id string) (cron.Ingress, bool) {
	m := w.modules.module()
	for i := range m.CronIngresses {
		if in := &m.CronIngresses[i].Ingress; in.ID.String() == id {
			return *in, true
		}
	}
	return cron.Ingress{}, false
}

// skipTick leaves out the tick of a cron ingress that t stands for.
func (s surface) skipTick(ctx context.Context, t *actor.Timer) error {
	in, ok := s.worker.cronIngress(t.Envelope.Target.ID)
	if !ok {
		return fmt.Errorf("the module has no cron ingress %s any more: %w", t.Envelope.Target.ID, actor.ErrNotFound)
	}
	_, err := s.EditState(ctx, in.Address(), in.Skip(t.DueAt))
	return err
}

// wakeCron makes the cron ingresses of m look what is due: one that is new has
// no delayed message yet, and one whose schedule has changed has an old one, as
// one that only the module before had; that is nil if it isn't known.
func (g *generation) wakeCron(ctx context.Context, before, m *module.Module) {
	all := slices.Clone(m.CronIngresses)
	if before != nil {
		all = append(all, before.CronIngresses...)
	}
	woken := map[actor.TypeName]bool{}
	for i := range all {
		in := &all[i]
		if woken[in.ID] {
			continue
		}
		woken[in.ID] = true
		send := broker.SendRequest{Target: in.Address(), Value: cron.Wake(), Own: true}
		pause := backoff.NewExponentialBackOff()
		for {
			_, err := g.app.Send(ctx, send)
			if err == nil || ctx.Err() != nil {
				break
			}
			wait := pause.NextBackOff()
			g.worker.log.Warn().Err(err).Stringer("ingress", in.ID).Dur("retry_in", wait).Msg("cron ingress not started yet, trying again")
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}
