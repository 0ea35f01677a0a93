package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

const progressStep = 200 * time.Millisecond

// pass waits for d, or until ctx ends, and shows how far it is. Every so often
// it takes a sample.
func (r *run) pass(ctx context.Context, what string, d, every time.Duration) error {
	out := r.cfg.Progress
	if out == nil {
		out = io.Discard
	}
	bar := progressbar.NewOptions64(max(1, d.Milliseconds()),
		progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(20),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	before := uint64(0)
	if every > 0 {
		r.began, r.sampled = time.Now(), time.Now()
	}
	began := time.Now()
	tick := time.NewTicker(progressStep)
	defer tick.Stop()
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			_ = bar.Finish() // nobody's loss
			return nil
		case <-tick.C:
		}
		if err := r.sampleEvery(ctx, every); err != nil {
			return err
		}
		_, _, delivered, _ := r.ledger.counts()
		if before > 0 {
			bar.Describe(fmt.Sprintf("%s %d/s", what, (delivered-before)*uint64(time.Second/progressStep)))
		}
		before = delivered
		_ = bar.Set64(min(d.Milliseconds(), time.Since(began).Milliseconds())) // likewise
	}
}
