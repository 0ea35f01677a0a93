package runtime

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/cron"
)

// cronIngress is the module's cron ingress with an id.
func (w *worker) cronIngress(id string) (cron.Ingress, bool) {
	for i := range w.cfg.Module.CronIngresses {
		if in := &w.cfg.Module.CronIngresses[i].Ingress; in.ID.String() == id {
			return *in, true
		}
	}
	return cron.Ingress{}, false
}

// wakeCron makes the cron ingresses look what is due: one that is new has no
// delayed message yet, and one whose schedule has changed has an old one.
func (g *generation) wakeCron(ctx context.Context) {
	for i := range g.worker.cfg.Module.CronIngresses {
		in := &g.worker.cfg.Module.CronIngresses[i]
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
