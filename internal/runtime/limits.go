package runtime

import (
	"fmt"
	"slices"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
)

// Limits bound what one call of a function may bring about. Zero fields mean
// the defaults.
type Limits struct {
	MaxSends       int   // messages, default 250,000
	MaxCommitBytes int   // of these messages, default 64 MiB
	MaxStateBytes  int   // of an address, default what the server's messages hold
	MaxReplyBytes  int64 // of an endpoint, default as the module says
}

func (l Limits) check() error {
	if l.MaxSends < 0 || l.MaxCommitBytes < 0 || l.MaxStateBytes < 0 || l.MaxReplyBytes < 0 {
		return fmt.Errorf("%w: --max-sends, --max-commit, --max-state and --max-reply can't be negative", ErrUsage)
	}
	return nil
}

// apply puts the limits of a partition into cfg.
func (l Limits) apply(cfg *actor.Config) {
	cfg.MaxSends, cfg.MaxEffects, cfg.MaxState = l.MaxSends, l.MaxCommitBytes, l.MaxStateBytes
}

// held is m with its endpoints held to the limit of replies.
func (l Limits) held(m *module.Module) *module.Module {
	if l.MaxReplyBytes == 0 {
		return m
	}
	out := *m
	out.Endpoints = slices.Clone(m.Endpoints)
	for i := range out.Endpoints {
		t := &out.Endpoints[i].Transport
		t.MaxBytes = min(t.MaxBytes, int(l.MaxReplyBytes))
	}
	return &out
}
