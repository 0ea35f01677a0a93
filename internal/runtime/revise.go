package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/module"
)

const (
	// keptRevisions is how many revisions stay, besides those by which ingress
	// records are still read.
	keptRevisions = 100
	// keptRemovals is how many removed functions a revision remembers.
	keptRemovals = 1000

	fromFiles    = "files"
	fromApply    = "apply"
	fromRollback = "rollback"
)

// change is a wish for another module.
type change struct {
	files    []broker.ModuleFile
	origin   string
	of       uint64 // for a rollback
	by       string
	expected *uint64 // the newest revision that there has to be; nil: any
}

// files are sources as revisions keep them.
func filesOf(sources []module.Source) []broker.ModuleFile {
	out := make([]broker.ModuleFile, len(sources))
	for i, s := range sources {
		out[i] = broker.ModuleFile{Name: s.Name, Text: string(s.Data)}
	}
	return out
}

// digestOf is equal for files with equal contents in the same order.
func digestOf(files []broker.ModuleFile) string {
	h := sha256.New()
	for _, f := range files {
		_, _ = fmt.Fprintf(h, "%d\n%s", len(f.Text), f.Text) // a hash takes all
	}
	return hex.EncodeToString(h.Sum(nil))
}

// revise makes a revision, unless the newest one says the same already, and
// puts it in place here. All other workers follow. It returns the newest
// revision, and whether it is a new one.
func (m *modules) revise(ctx context.Context, app *broker.App, c *change) (newest broker.ModuleRevision, made bool, err error) {
	for {
		if newest, err = app.NewestModule(ctx); err != nil {
			return newest, false, err
		}
		if c.expected != nil && *c.expected != newest.Number {
			return newest, false, fmt.Errorf("%w: it is %d, not %d", broker.ErrRevision, newest.Number, *c.expected)
		}
		if digestOf(c.files) == newest.Digest {
			return newest, false, nil
		}
		next, err := m.next(&newest, c)
		if err != nil {
			return newest, false, err
		}
		if err := m.try(ctx, app, next); err != nil {
			return newest, false, err
		}
		switch err := app.PutModule(ctx, next); {
		case errors.Is(err, broker.ErrRevision) && c.expected == nil:
			continue // somebody was faster
		case err != nil:
			return newest, false, err
		}
		// It is made: whoever asked need not stay until it is in place.
		return *next, true, m.follow(context.WithoutCancel(ctx), app, next)
	}
}

// next is the revision after newest.
func (m *modules) next(newest *broker.ModuleRevision, c *change) (*broker.ModuleRevision, error) {
	parsed, found := m.parse(c.files)
	if bad := found.Errors(); len(bad) > 0 {
		return nil, bad
	}
	now := time.Now()
	r := &broker.ModuleRevision{
		Number: newest.Number + 1, AppliedAt: now.UTC().Format(time.RFC3339), By: c.by, Origin: c.origin, Of: c.of,
		Digest: digestOf(c.files), Files: c.files, Summary: parsed.Summary(),
	}
	for _, e := range parsed.Endpoints {
		r.Functions = append(r.Functions, e.Functions.String())
	}
	slices.Sort(r.Functions)
	r.Functions = slices.Compact(r.Functions)
	r.Removed = slices.Clone(newest.Removed)
	for _, f := range newest.Functions {
		r.Removed = append(r.Removed, broker.RemovedFunction{Functions: f, At: now.UnixMilli()})
	}
	r.Removed = slices.DeleteFunc(r.Removed, func(f broker.RemovedFunction) bool { return slices.Contains(r.Functions, f.Functions) })
	r.Removed = r.Removed[max(len(r.Removed)-keptRemovals, 0):]
	return r, nil
}

// try finds out whether this worker could put a revision in place.
func (m *modules) try(ctx context.Context, app *broker.App, r *broker.ModuleRevision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.prepare(r)
	if err != nil {
		return err
	}
	if g := m.generation; g != nil {
		next, err := g.open(ctx, p.module)
		if err != nil {
			return err
		}
		next.close()
	} else if _, err := openForeign(ctx, app, p.module); err != nil {
		return err
	}
	return bindEgress(ctx, app, p.module)
}

// bindEgress finds out whether the egress stream can take the subjects that
// the module names.
func bindEgress(ctx context.Context, app *broker.App, m *module.Module) error {
	err := app.BindEgress(ctx, prefixes(m))
	for _, e := range m.Egresses {
		if err != nil && e.Subject != "" {
			return at(e.Pos, err)
		}
	}
	return err
}

// start decides which revision this worker begins with, and has it in place.
func (m *modules) start(ctx context.Context, app *broker.App) error {
	if m.fixed() {
		return nil
	}
	c := &change{files: filesOf(m.worker.cfg.Sources), origin: fromFiles, by: m.filesBy()}
	for {
		list, err := app.Modules(ctx)
		if err != nil {
			return err
		}
		var newest *broker.ModuleRevision
		if len(list) > 0 {
			newest = &list[0]
			c.expected = &newest.Number
		} else {
			c.expected = new(uint64)
		}
		if newest != nil && !m.filesWin(list, digestOf(c.files)) {
			if err := m.follow(ctx, app, newest); err != nil {
				return fmt.Errorf("%w: module revision %d, applied at %s by %s, can't be used here: %w; repair that, apply another module, or start with --reset-module",
					ErrUsage, newest.Number, newest.AppliedAt, newest.By, err)
			}
			return nil
		}
		r, _, err := m.revise(ctx, app, c)
		if errors.Is(err, broker.ErrRevision) {
			continue // another worker starts, too
		}
		if err == nil {
			err = m.follow(ctx, app, &r)
		}
		return err
	}
}

// filesWin reports whether the files take the place of the newest revision:
// if they say what no revision said before, or were changed since.
func (m *modules) filesWin(list []broker.ModuleRevision, digest string) bool {
	newest := &list[0]
	if digest == newest.Digest {
		return false
	}
	if m.worker.cfg.ResetModule || !slices.ContainsFunc(list, func(r broker.ModuleRevision) bool { return r.Digest == digest }) {
		return true
	}
	since, err := time.Parse(time.RFC3339, newest.AppliedAt)
	changed := func(file string) bool {
		found, statErr := os.Stat(file)
		return statErr == nil && found.ModTime().After(since.Add(time.Second)) // it has no fractions
	}
	if err == nil && slices.ContainsFunc(m.worker.cfg.Files, changed) {
		return true
	}
	m.log.Warn().Uint64("revision", newest.Number).Str("by", newest.By).Strs("files", m.worker.cfg.Files).
		Msg("module files are older than the newest revision, which stays")
	return false
}

// filesBy says who changed files, as far as that is known.
func (m *modules) filesBy() string {
	return fmt.Sprintf("worker %s, from %s", m.worker.name, strings.Join(m.worker.cfg.Files, ", "))
}
