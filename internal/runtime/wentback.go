package runtime

import (
	"context"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
)

// beginning is where the feed of one of our own streams has to begin: where the
// partitions want it, unless the stream has lost its end; then what is new may
// be anywhere, and the partitions tell it from what they had. False if no
// partition is up.
func (g *generation) beginning(ctx context.Context, source actor.Source) (uint64, bool, error) {
	start, ok := g.position(source)
	if !ok {
		return 0, false, nil
	}
	at := actor.Anchor{Seq: start - 1}
	for _, s := range g.seats {
		if !s.down() && s.processor.Anchor(source).Seq > at.Seq {
			at = s.processor.Anchor(source)
		}
	}
	back, err := g.app.WentBack(ctx, source, at)
	if err != nil || !back {
		return start, true, err
	}
	g.wentBack(source, at)
	return 1, true, nil
}

// beginningOf is the same for a stream of somebody else. A look that fails is
// repeated by nobody: whether the stream can be read at all is the feed's affair.
func (g *generation) beginningOf(ctx context.Context, source *broker.Foreign, start uint64) uint64 {
	p := g.seats[source.Partition()].processor
	at := p.Anchor(source.Source())
	start, back, err := source.Start(ctx, start, at)
	switch {
	case err != nil:
		g.worker.log.Warn().Err(err).Stringer("ingress", source.Ingress()).Msg("the end of an existing stream can't be looked at")
	case back:
		g.wentBack(source.Source(), at)
	}
	return start
}

// wentBack tells of a stream that has lost its end.
func (g *generation) wentBack(source actor.Source, at actor.Anchor) {
	g.worker.log.Warn().Str("source", string(source)).Uint64("seq", at.Seq).
		Msg("a stream has lost its end, looking for what is new")
	for _, s := range g.seats {
		if !s.down() {
			s.processor.WentBack(source)
		}
	}
}
