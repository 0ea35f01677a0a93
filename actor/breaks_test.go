package actor

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outside is a delivery from outside.
func outside(seq uint64, time int64) *Delivery {
	return &Delivery{Source: SourceMailbox, Seq: seq, Time: time, Inputs: []Input{{}}}
}

// admitted is what an intake makes of a delivery, and where.
type admitted struct {
	Place   uint64
	Verdict verdict
}

func admit(n *intake, d *Delivery) admitted {
	place, v := n.admit(d, 0, 0)
	return admitted{place, v}
}

// decided is an intake whose owner begins: the journal says that everything up
// to place 10, stored at 1000 at the latest, is decided, but for open.
func decided(newest int64, open ...uint64) *intake {
	n := newIntake(SourceMailbox)
	p := &progress{source: SourceMailbox, high: 10, newest: newest, accepted: []pairNumber{{peer: 3, number: 4}}}
	for _, seq := range open {
		p.refs = append(p.refs, inputRef{seq, 0})
	}
	n.restore(p)
	n.resume(0, 0)
	return n
}

func equalAdmitted(t *testing.T, what string, got, want admitted) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestANewMessageAtADecidedSequenceGetsAPlaceOfItsOwn(t *testing.T) {
	t.Parallel()
	n := decided(1000, 4, 8)
	equalAdmitted(t, "an open input", admit(n, outside(4, 900)), admitted{4, redo})
	equalAdmitted(t, "a decided one", admit(n, outside(5, 900)), admitted{5, skip})
	equalAdmitted(t, "a new one", admit(n, outside(6, 2000)), admitted{11, take})
	equalAdmitted(t, "the next one", admit(n, outside(7, 2001)), admitted{12, take})
	if n.losses != (losses{breaks: 1, at: 6, decided: 10, open: 1}) {
		t.Errorf("losses = %+v, want the open input 8 behind 6", n.losses)
	}
	p := n.advance([]inputRef{{11, 0}})
	if diff := cmp.Diff(breaks{{at: 6, shift: 5}}, p.breaks, cmp.AllowUnexported(streamBreak{})); diff != "" || p.high != 11 || p.newest != 2001 {
		t.Errorf("the commit says %d, %d and breaks (-want +got):\n%s", p.high, p.newest, diff)
	}

	next := newIntake(SourceMailbox) // the next owner
	next.restore(&progress{source: SourceMailbox, high: 10, newest: 1000, refs: []inputRef{{4, 0}, {8, 0}}})
	next.replay(&p)
	next.resume(0, 0)
	if seq, held := next.breaks.seq(next.position()); seq != 4 || !held {
		t.Errorf("it begins at %d, %v; want the open input 4", seq, held)
	}
	equalAdmitted(t, "the open input again", admit(next, outside(4, 900)), admitted{4, redo})
	equalAdmitted(t, "what is consumed now", admit(next, outside(6, 2000)), admitted{11, skip})
	equalAdmitted(t, "what isn't", admit(next, outside(7, 2001)), admitted{12, take})
}

func TestWithoutTimesInTheJournalSequencesAreBelieved(t *testing.T) {
	t.Parallel()
	n := decided(0)
	equalAdmitted(t, "a later message at a decided sequence", admit(n, outside(6, 2000)), admitted{6, skip})
	equalAdmitted(t, "one behind it", admit(n, outside(11, 2001)), admitted{11, take})
	if p := n.advance([]inputRef{{11, 0}}); p.newest != 2001 || n.since != 10 {
		t.Errorf("then times are known up to %d behind %d, want 2001 and 10", p.newest, n.since)
	}
}

func TestAMessageThatIsReadAgainIsNoNewOneWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	n := newIntake(SourceMailbox)
	n.resume(0, 0)
	for seq, time := range []int64{5000, 4000, 3000} { // the server's clock is set back
		equalAdmitted(t, "at first", admit(n, outside(uint64(seq+1), time)), admitted{uint64(seq + 1), take})
	}
	p := n.advance([]inputRef{{3, 0}})
	next := newIntake(SourceMailbox)
	next.replay(&p)
	next.resume(0, 0)
	equalAdmitted(t, "the first, open", admit(next, outside(1, 5000)), admitted{1, redo})
	equalAdmitted(t, "the second, open", admit(next, outside(2, 4000)), admitted{2, redo})
	equalAdmitted(t, "the third", admit(next, outside(3, 3000)), admitted{3, skip})
}

func TestABreakBeginsWhereAnOpenInputIsMissing(t *testing.T) {
	t.Parallel()
	n := decided(1000, 3, 5)
	equalAdmitted(t, "an open input", admit(n, outside(3, 900)), admitted{3, redo})
	equalAdmitted(t, "a new one, behind others' in place of 5", admit(n, outside(7, 2000)), admitted{13, take})
	if n.losses.open != 1 || n.awaiting != 0 {
		t.Errorf("losses = %+v, %d are awaited; want 5 lost", n.losses, n.awaiting)
	}
}

func TestAnOwnerThatHasReadFurtherThanItsStreamGoesEnds(t *testing.T) {
	t.Parallel()
	n := decided(1000)
	equalAdmitted(t, "what is read", admit(n, outside(11, 1100)), admitted{11, take})
	equalAdmitted(t, "another one in its place", admit(n, outside(11, 2000)), admitted{11, back})
	n = decided(1000)
	equalAdmitted(t, "what is read", admit(n, outside(12, 1100)), admitted{12, take})
	equalAdmitted(t, "a new one before it", admit(n, outside(9, 2000)), admitted{9, back})
}

func TestAReceiverGoesOnBehindNumbersThatItsMailboxHasLost(t *testing.T) {
	t.Parallel()
	n := decided(1000)
	internal := func(seq, number, delivered uint64) *Delivery {
		d := outside(seq, 2000)
		d.Internal, d.From, d.Number, d.Delivered = true, 3, number, delivered
		return d
	}
	equalAdmitted(t, "a gap that will close", admit(n, internal(11, 6, 4)), admitted{11, drop})
	equalAdmitted(t, "one that won't", admit(n, internal(12, 9, 7)), admitted{12, drop})
	equalAdmitted(t, "what comes first behind it", admit(n, internal(13, 8, 7)), admitted{13, take})
	equalAdmitted(t, "a lost one that comes late", admit(n, internal(14, 6, 4)), admitted{14, drop})
	equalAdmitted(t, "the next", admit(n, internal(15, 9, 7)), admitted{15, take})
	if n.losses.sends != 3 {
		t.Errorf("%d numbers were lost, want 5, 6 and 7", n.losses.sends)
	}
}

func TestOpenInputsThatAreNotThereAreGivenUpOnlyIfTheStreamLostItsEnd(t *testing.T) {
	t.Parallel()
	equalAdmitted(t, "no reason is known", admit(decided(1000, 8), outside(11, 2000)), admitted{11, lost})
	n := decided(1000, 4, 8)
	n.suspect = true
	equalAdmitted(t, "an open input", admit(n, outside(4, 900)), admitted{4, redo})
	equalAdmitted(t, "one behind all that was decided", admit(n, outside(11, 2000)), admitted{11, take})
	if n.losses.open != 1 || !n.holes.has(inputRef{4, 0}) || n.holes.has(inputRef{8, 0}) {
		t.Errorf("losses = %+v, open: %v; want 8 lost and 4 open", n.losses, n.holes.refs())
	}
	p := n.advance([]inputRef{{11, 0}})
	next := newIntake(SourceMailbox)
	next.restore(&progress{source: SourceMailbox, high: 10, newest: 1000, refs: []inputRef{{4, 0}, {8, 0}}})
	next.replay(&p)
	if diff := cmp.Diff([]inputRef{{4, 0}}, next.holes.refs(), cmp.AllowUnexported(inputRef{})); diff != "" {
		t.Errorf("open for the next owner (-want +got):\n%s", diff)
	}
	n = decided(1000, 4, 8)
	n.suspect = true
	equalAdmitted(t, "the later of two open inputs", admit(n, outside(8, 900)), admitted{8, redo})
	equalAdmitted(t, "one missing before it is damage", admit(n, outside(11, 2000)), admitted{11, lost})
}

func TestPlacesAndSequencesAgree(t *testing.T) {
	t.Parallel()
	b := breaks{}.add(6, 10).add(9, 15).add(8, 20)
	for seq, want := range map[uint64]uint64{1: 1, 5: 5, 6: 11, 7: 12, 8: 21, 9: 22} {
		if got := b.place(seq); got != want {
			t.Errorf("place(%d) = %d, want %d", seq, got, want)
		}
		if got, held := b.seq(want); got != seq || !held {
			t.Errorf("seq(%d) = %d, %v, want %d", want, got, held, seq)
		}
	}
	for place, want := range map[uint64]uint64{8: 6, 10: 6, 13: 8, 20: 8} {
		if got, held := b.seq(place); got != want || held {
			t.Errorf("seq(%d), which is lost, = %d, %v, want %d", place, got, held, want)
		}
	}
	if got := b.from(21); len(got) != 1 || got.place(8) != 21 {
		t.Errorf("from(21) = %v, want the last one", got)
	}
}

func TestAReceiverFollowsASenderWhoseJournalLostItsEnd(t *testing.T) {
	t.Parallel()
	seq := uint64(10)
	internal := func(number, epoch, first uint64) *Delivery {
		seq++
		d := outside(seq, 2000)
		d.Internal, d.From, d.Number, d.Epoch, d.First = true, 3, number, epoch, first
		return d
	}
	verdictOf := func(n *intake, d *Delivery) verdict { return admit(n, d).Verdict }
	n := decided(1000) // up to number 4
	for _, c := range []struct {
		what                 string
		number, epoch, first uint64
		want                 verdict
	}{
		{"numbers of an epoch", 5, 2, 5, take},
		{"the next", 6, 2, 5, take},
		{"one of them again", 5, 2, 5, drop},
		{"the next epoch's first", 7, 3, 7, take},
		{"what was put in place again", 6, 2, 0, drop},
		{"a later epoch that has forgotten 6 and 7, ahead of its first", 7, 4, 6, drop},
		{"its first", 6, 4, 6, take},
		{"a late one that it has forgotten", 7, 3, 7, drop},
		{"its next", 7, 4, 6, take},
		{"again", 6, 4, 6, drop},
		{"one that doesn't say its first", 8, 5, 0, take},
	} {
		if got := verdictOf(n, internal(c.number, c.epoch, c.first)); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.what, got, c.want)
		}
	}
	if n.losses.renumbered != 4 {
		t.Errorf("renumbered = %d, want partition 3", n.losses.renumbered-1)
	}
	p := n.advance([]inputRef{{seq, 0}})
	next := newIntake(SourceMailbox)
	next.replay(&p)
	next.resume(0, 0)
	next.awaiting = 0
	if got := verdictOf(next, internal(8, 6, 8)); got != take {
		t.Errorf("the next owner: verdict %d, want the numbers from 8 on again", got)
	}
}
