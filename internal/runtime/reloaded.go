package runtime

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// reloadPause is how often a file is looked at.
const reloadPause = time.Second

// reloaded is what files say, read again once they have changed and rest
// again. What can't be read, or makes no sense, leaves what was there before.
type reloaded[T any] struct {
	files []string
	parse func(texts [][]byte) (T, error)
	log   zerolog.Logger

	value  atomic.Pointer[T]
	known  []fileStamp // of what was read, successfully or not
	latest []fileStamp // at the last look
}

// fileStamp tells versions of a file apart; zero: there is none.
type fileStamp struct {
	modified time.Time
	size     int64
}

// newReloaded reads the files for the first time.
func newReloaded[T any](files []string, parse func([][]byte) (T, error), log zerolog.Logger) (*reloaded[T], error) {
	r := &reloaded[T]{files: files, parse: parse, log: log}
	r.known = r.stamps()
	r.latest = r.known
	if err := r.read(); err != nil {
		return nil, err
	}
	return r, nil
}

// get returns what the files say.
func (r *reloaded[T]) get() T { return *r.value.Load() }

// run looks after the files until ctx ends.
func (r *reloaded[T]) run(ctx context.Context) error {
	tick := time.NewTicker(reloadPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.look()
		}
	}
}

func (r *reloaded[T]) look() {
	stamps := r.stamps()
	resting := slices.Equal(stamps, r.latest)
	r.latest = stamps
	if !resting || slices.Equal(stamps, r.known) {
		return
	}
	r.known = stamps
	if err := r.read(); err != nil {
		r.log.Warn().Err(err).Strs("files", r.files).Msg("changed file not usable, what it said before stays valid")
		return
	}
	r.log.Info().Strs("files", r.files).Msg("changed file read again")
}

func (r *reloaded[T]) stamps() []fileStamp { return stampsOf(r.files) }

func stampsOf(files []string) []fileStamp {
	stamps := make([]fileStamp, len(files))
	for i, f := range files {
		if found, err := os.Stat(f); err == nil {
			stamps[i] = fileStamp{modified: found.ModTime(), size: found.Size()}
		}
	}
	return stamps
}

func (r *reloaded[T]) read() error {
	texts := make([][]byte, len(r.files))
	for i, f := range r.files {
		var err error
		if texts[i], err = os.ReadFile(f); err != nil {
			return err
		}
	}
	value, err := r.parse(texts)
	if err != nil {
		return fmt.Errorf("%s: %w", r.files[0], err)
	}
	r.value.Store(&value)
	return nil
}
