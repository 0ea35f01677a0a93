package actor

import "github.com/jetfn/jetfn/internal/mutant"

// A marker goes like any message when it is as old as its stream lets it be.
// What expects it is then refused, with the batches that it is in, and
// everything that waits has to be looked for. So it is written again before,
// when nothing is on its way: then there is nothing to look for.

// renewInTime has the marker count as old between a quarter and a half of its
// life after it was written; at random, since the partitions of a worker write
// their first ones together.
func (s *sink) renewInTime() {
	quarter := s.p.cfg.MarkerLife.Milliseconds() / 4
	if quarter <= 0 {
		return
	}
	mark, due := s.mark, s.markedAt+quarter+s.p.rand.Int64N(quarter)
	s.p.after(max(due-s.p.now, 1), func() {
		if s.mark == mark && s.phase == sinkOpen {
			s.phase = sinkRenewing
			s.pump()
		}
	})
}

// renew replaces our marker, once something waits that would expect it.
// Everything that was sent under it is stored.
func (s *sink) renew() {
	if s.inFlight == 0 && len(s.queue) > 0 {
		s.writeMark(s.mark)
	}
}

// notStored takes note that it is not known to be stored, which may mean
// that it is (PROTOCOL E4).
func (s *sink) notStored(it *sinkItem, err error) {
	switch {
	case s.phase == sinkRenewing && mutant.On("sink-renewal-forgives"):
		it.sent = false
	case s.phase == sinkOpen || s.phase == sinkRenewing:
		s.phase = sinkTrouble
		s.p.notice(noticeDebug, "sink refused a message", it.message.Source, err)
	}
}
