package runtime

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/module"
)

const (
	// filesPause is how often module files are looked at. A change counts once
	// they look the same twice: editors write in several steps.
	filesPause = 250 * time.Millisecond
	// revisionPause is the pause before a revision that is not usable here is
	// tried again.
	revisionPause = 5 * time.Second
)

// watch follows the application's revisions, and the files, until ctx ends.
func (m *modules) watch(ctx context.Context, app *broker.App, spawn func(func())) {
	if m.fixed() {
		return
	}
	revisions := make(chan broker.ModuleRevision, 1)
	spawn(func() { m.watchRevisions(ctx, app, revisions) })
	spawn(func() { m.followAll(ctx, app, revisions) })
	if m.worker.cfg.Watch && len(m.worker.cfg.Files) > 0 {
		spawn(func() { m.watchFiles(ctx, app) })
	}
}

// watchRevisions hands the newest revision over.
func (m *modules) watchRevisions(ctx context.Context, app *broker.App, revisions chan broker.ModuleRevision) {
	for {
		err := app.WatchModules(ctx, func(r broker.ModuleRevision) {
			select {
			case <-revisions: // it is not the newest one any more
			default:
			}
			revisions <- r
		})
		if ctx.Err() != nil {
			return
		}
		m.log.Warn().Err(err).Msg("module revisions can't be watched, trying again")
		if !sleep(ctx, ctx, watchPause) {
			return
		}
	}
}

// followAll puts each revision in place, and one that isn't usable again and
// again: a port may become free.
func (m *modules) followAll(ctx context.Context, app *broker.App, revisions <-chan broker.ModuleRevision) {
	var r broker.ModuleRevision
	again := time.NewTimer(0)
	defer again.Stop()
	<-again.C
	for {
		select {
		case <-ctx.Done():
			return
		case r = <-revisions:
		case <-again.C:
		}
		if err := m.follow(ctx, app, &r); err != nil {
			again.Reset(revisionPause)
		}
	}
}

// watchFiles makes a revision of the files whenever they have changed.
func (m *modules) watchFiles(ctx context.Context, app *broker.App) {
	w := &fileWatch{modules: m, digest: digestOf(filesOf(m.worker.cfg.Sources))}
	tick := time.NewTicker(filesPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx, app)
		}
	}
}

// fileWatch knows what the files said.
type fileWatch struct {
	modules *modules
	known   []fileStamp // of what was read
	latest  []fileStamp // at the last look
	digest  string      // of what was tried, good or bad
}

func (w *fileWatch) look(ctx context.Context, app *broker.App) {
	stamps := stampsOf(w.modules.worker.cfg.Files)
	resting := slices.Equal(stamps, w.latest)
	w.latest = stamps
	if !resting || slices.Equal(stamps, w.known) {
		return
	}
	w.known = stamps
	log := w.modules.log.With().Strs("files", w.modules.worker.cfg.Files).Logger()
	sources, err := readSources(w.modules.worker.cfg.Files)
	if err != nil {
		log.Warn().Err(err).Msg("module files can't be read, the module stays as it is")
		return
	}
	c := &change{files: filesOf(sources), origin: fromFiles, by: w.modules.filesBy()}
	digest := digestOf(c.files)
	if digest == w.digest {
		return // touched
	}
	newest, made, err := w.modules.revise(ctx, app, c)
	switch {
	case ctx.Err() != nil:
	case err != nil && (made || errors.Is(err, broker.ErrUnknown)):
		w.known = nil // look again
		log.Warn().Err(err).Msg("changed module files not taken yet, trying again")
	case err != nil:
		w.digest = digest
		log.Error().Err(err).Msg("changed module files not usable, the module stays as it is")
	default:
		w.digest = digest
		log.Info().Uint64("revision", newest.Number).Msg("changed module files taken")
	}
}

func readSources(files []string) ([]module.Source, error) {
	out := make([]module.Source, len(files))
	for i, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		out[i] = module.Source{Name: f, Data: data}
	}
	return out, nil
}
