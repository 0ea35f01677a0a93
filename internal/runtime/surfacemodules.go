package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// moduleSurface gives the gateway what it needs of the module. It works at
// standbys, too.
type moduleSurface struct{ worker *worker }

// gatewayModules is nil if the module never changes.
func (w *worker) gatewayModules() gateway.Modules {
	if w.modules.fixed() {
		return nil
	}
	return moduleSurface{w}
}

func (s moduleSurface) app() (*broker.App, error) {
	b := s.worker.backbone.Load()
	if b == nil {
		return nil, fmt.Errorf("%w: %v", gateway.ErrNotReady, s.worker.status.Reasons())
	}
	return b.app, nil
}

// Revisions implements gateway.Modules.
func (s moduleSurface) Revisions(ctx context.Context) ([]gateway.ModuleInfo, error) {
	app, err := s.app()
	if err != nil {
		return nil, err
	}
	list, err := app.Modules(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]gateway.ModuleInfo, len(list))
	for i := range list {
		r := &list[i]
		inPlace, problem := s.worker.modules.stateOf(r.Number)
		out[i] = gateway.ModuleInfo{
			Revision: r.Number, AppliedAt: r.AppliedAt, By: r.By, Origin: r.Origin, Of: r.Of, Summary: r.Summary,
			InPlace: inPlace, Problem: problem,
		}
	}
	return out, nil
}

// Revision implements gateway.Modules.
func (s moduleSurface) Revision(ctx context.Context, number uint64) (out gateway.ModuleRevision, err error) {
	app, err := s.app()
	if err != nil {
		return out, err
	}
	var r broker.ModuleRevision
	if number == 0 {
		r, err = app.NewestModule(ctx)
	} else {
		r, err = app.Module(ctx, number)
	}
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return out, fmt.Errorf("%w: there is no module revision %d, or none any more", gateway.ErrNotFound, number)
	}
	if err != nil {
		return out, err
	}
	out = gateway.ModuleRevision{
		Revision: r.Number, AppliedAt: r.AppliedAt, By: r.By, Origin: r.Origin, Of: r.Of, Summary: r.Summary,
		Files: make([]gateway.ModuleFile, len(r.Files)),
	}
	out.InPlace, out.Problem = s.worker.modules.stateOf(r.Number)
	for i, f := range redacted(r.Files) {
		out.Files[i] = gateway.ModuleFile{Name: f.Name, Text: string(f.Data)}
	}
	wait := max(s.worker.cfg.RemovedWait, 0)
	for _, f := range r.Removed {
		at := time.UnixMilli(f.At).UTC()
		out.Removed = append(out.Removed, gateway.RemovedFunction{
			Functions: f.Functions, At: at.Format(time.RFC3339), Until: at.Add(wait).Format(time.RFC3339),
		})
	}
	return out, nil
}

// redacted are files as they may be shown.
func redacted(files []broker.ModuleFile) []module.Source {
	sources := make([]module.Source, len(files))
	for i, f := range files {
		sources[i] = module.Source{Name: f.Name, Data: []byte(f.Text)}
	}
	return module.Redact(sources)
}

// stateOf is whether a revision is in place here, and why it isn't although it
// is the newest one.
func (m *modules) stateOf(number uint64) (inPlace bool, problem string) {
	if m.now.Load().revision.Number == number {
		return true, ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.problem.revision == number {
		problem = m.problem.err.Error()
	}
	return false, problem
}

// ApplyModule implements gateway.Modules.
func (s moduleSurface) ApplyModule(ctx context.Context, in *gateway.ModuleChange) (out gateway.ModuleApplied, err error) {
	app, err := s.app()
	if err != nil {
		return out, err
	}
	c := &change{origin: fromApply, by: in.By, expected: in.Expected}
	for _, f := range in.Files {
		c.files = append(c.files, broker.ModuleFile{Name: f.Name, Text: f.Text})
	}
	if in.Rollback > 0 {
		r, err := app.Module(ctx, in.Rollback)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return out, fmt.Errorf("%w: there is no module revision %d, or none any more", gateway.ErrNotFound, in.Rollback)
		}
		if err != nil {
			return out, err
		}
		c.files, c.origin, c.of = r.Files, fromRollback, in.Rollback
	}
	newest, made, err := s.worker.modules.revise(ctx, app, c)
	if err != nil {
		return out, applyError(err)
	}
	out = gateway.ModuleApplied{Revision: newest.Number, Changed: made, Summary: newest.Summary}
	_, found := s.worker.modules.parse(newest.Files)
	out.Warnings = diagnostics(found.Warnings())
	return out, nil
}

// applyError is err as the gateway knows it.
func applyError(err error) error {
	switch {
	case errors.Is(err, broker.ErrRevision):
		return fmt.Errorf("%w: %w", gateway.ErrRevision, err)
	case errors.Is(err, broker.ErrTooLarge):
		return fmt.Errorf("%w: %w", gateway.ErrTooLarge, err)
	case errors.Is(err, broker.ErrUnknown), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
	}
	if found := diagnosticsOf(err); isAboutModule(err) {
		return &gateway.ModuleError{Diagnostics: found}
	}
	return err
}

// isAboutModule reports whether the module is what is wrong.
func isAboutModule(err error) bool {
	return errors.As(err, new(module.Diagnostics)) || errors.As(err, new(*placedError)) || errors.Is(err, ErrUsage) || errors.Is(err, ErrInUse)
}
