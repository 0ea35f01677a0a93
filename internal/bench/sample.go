package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Sample is how things stood at one moment of a run.
type Sample struct {
	At      float64 `json:"at_s"`           // since the measuring began
	Records uint64  `json:"records"`        // since the run's start
	Backlog uint64  `json:"backlog"`        // messages without a record
	RSS     int64   `json:"rss_bytes"`      // the worker's
	Disk    int64   `json:"disk_bytes"`     // the whole data directory
	Mailbox uint64  `json:"mailbox_bytes"`  // of the stream
	Journal uint64  `json:"journal_bytes"`  // of the stream
	Egress  uint64  `json:"egress_bytes"`   // of the stream
	State   uint64  `json:"state_bytes"`    // of the stream
	Waiting uint64  `json:"mailbox_stored"` // messages in the mailbox
}

// sampleEvery takes a sample if so much time has passed since the last one.
func (r *run) sampleEvery(ctx context.Context, every time.Duration) error {
	if every <= 0 || time.Since(r.sampled) < every {
		return nil
	}
	r.sampled = r.sampled.Add(every)
	if err := r.sample(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// sample looks at everything once.
func (r *run) sample(ctx context.Context) error {
	u, err := r.worker.ask("sample")
	if err != nil {
		return err
	}
	sent, _, delivered, _ := r.ledger.counts()
	s := Sample{At: time.Since(r.began).Seconds(), Records: delivered, Backlog: sent - delivered, RSS: u.RSS, Disk: diskBytes(r.dir)}
	list := r.js.ListStreams(ctx)
	for info := range list.Info() {
		switch info.Config.Name {
		case streamPrefix + "MAILBOX":
			s.Mailbox, s.Waiting = info.State.Bytes, info.State.Msgs
		case streamPrefix + "JOURNAL":
			s.Journal = info.State.Bytes
		case streamPrefix + "EGRESS":
			s.Egress = info.State.Bytes
		case "KV_" + appName + "_state":
			s.State = info.State.Bytes
		}
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("look at the streams: %w", err)
	}
	r.samples = append(r.samples, s)
	return nil
}

const streamPrefix = "JETFN_"

// diskBytes is the size of the files below dir. Those that go while it looks
// don't count.
func diskBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // errors are passed over below
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // gone
		}
		if file, err := d.Info(); err == nil {
			n += file.Size()
		}
		return nil
	})
	return n
}

// ErrUnbounded means that something grew that should not.
var ErrUnbounded = errors.New("something grows without bound")

const (
	// growth is how much larger the second half of a run may be than the
	// first, beside the slack of a mebibyte size.
	growth   = 1.5
	slack    = 64 << 20
	drainAim = 0.8
)

// Bounded checks the samples of a long run: memory, journal and what is on
// disk beside the mailbox and the egress, which hold what is asked of them, must not
// be larger in the second half than in the first. After an overload the
// backlog must drain with least records a second; if that is zero, about as
// fast as the load was carried, which an overload makes slower, too.
func (r *Result) Bounded(least float64) error {
	const few = 4
	if len(r.Samples) < few {
		return fmt.Errorf("%w: only %d samples", ErrUnbounded, len(r.Samples))
	}
	var problems []error
	beside := diskBeside(r.Samples)
	for _, q := range []struct {
		name string
		of   func(i int) int64
	}{
		{"memory", func(i int) int64 { return r.Samples[i].RSS }},
		{"journal", func(i int) int64 { return int64(r.Samples[i].Journal) }},
		{"disk", func(i int) int64 { return beside[i] }},
	} {
		half := len(r.Samples) / 2
		before, after := most(0, half, q.of), most(half, len(r.Samples), q.of)
		if float64(after) > growth*float64(before)+slack {
			problems = append(problems, fmt.Errorf("%s: at most %d MiB in the first half, %d MiB in the second", q.name, before>>20, after>>20))
		}
	}
	if least == 0 {
		least = drainAim * r.PerSecond
	}
	if rate := r.DrainPerSecond; r.Backlog > uint64(r.PerSecond) && rate < least {
		problems = append(problems, fmt.Errorf("the backlog of %d drained at %.0f/s, want %.0f/s at least", r.Backlog, rate, least))
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrUnbounded, errors.Join(problems...))
	}
	return nil
}

// diskBeside is what was on disk beside what the mailbox and the egress have
// held at most so far: the server keeps files that are partly empty.
func diskBeside(samples []Sample) []int64 {
	out := make([]int64, len(samples))
	var mailbox, egress uint64
	for i, s := range samples {
		mailbox, egress = max(mailbox, s.Mailbox), max(egress, s.Egress)
		out[i] = s.Disk - int64(mailbox) - int64(egress)
	}
	return out
}

func most(from, to int, of func(i int) int64) (n int64) {
	for i := from; i < to; i++ {
		n = max(n, of(i))
	}
	return n
}
