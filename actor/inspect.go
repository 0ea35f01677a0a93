package actor

// RecordView is a journal record as tools and tests see it.
type RecordView struct {
	Kind        string // open, commit, checkpoint or part
	Incarnation uint64 // of its writer
	Number      uint64 // among the records that its writer tried
	Epoch       uint64
	Commit      uint64 // number of the newest commit up to and including it
	PrevSeq     uint64 // sequence of the record before
	PrevSum     uint64 // checksum of the record before
	Checkpoint  uint64 // where the newest checkpoint before it begins
	Time        int64  // Unix milliseconds
	Part, Parts int    // a part's index and their count
	PartOf      string // what a part is a piece of
	Body        []byte // for InspectCommit and InspectCheckpoint
	Sum         uint64 // its own checksum
}

// CommitView is the body of a commit.
type CommitView struct {
	Time        int64
	Progress    []ProgressView
	Invocations []InvocationView
	Sends       []OutboundSend // Epoch, Commit and From are zero
	TimersSet   []Timer
	Fired       []TimerID
	Cancelled   []TimerID
	Egress      []EgressMessage
	DeadLetters []DeadLetter
	Replies     []Envelope
}

// ProgressView is how far a source is decided: the increments in a commit,
// everything in a checkpoint.
type ProgressView struct {
	Source   Source
	High     uint64
	Accepted map[int]uint64 // numbers, by sending partition
	Holes    []InputID
	Breaks   []BreakView // in a commit: none if they haven't changed
}

// BreakView is where a stream went on after it had lost its end: the message
// at the sequence At, and all behind it, are inputs from Place on.
type BreakView struct{ At, Place uint64 }

// InvocationView is a batch of messages for one address that took effect.
type InvocationView struct {
	Target    Address
	Time      int64
	Consumed  []InputID
	Mutations []MutationView
}

// MutationView is a change of one state.
type MutationView struct {
	Name   string
	Delete bool
	Renew  bool
	Value  StateValue // unless Delete; of a renewal the deadline alone
}

// CheckpointView is the body of a checkpoint.
type CheckpointView struct {
	Applied   uint64
	Progress  []ProgressView
	Next      map[int]uint64 // last number assigned, by target partition
	Delivered map[int]uint64
}

// Inspect reads a journal record.
func Inspect(data []byte) (RecordView, error) {
	r, err := decodeRecord(data)
	if err != nil {
		return RecordView{}, err
	}
	v := RecordView{
		Kind: r.kind.String(), Incarnation: r.id.incarnation, Number: r.id.n, Epoch: r.epoch, Commit: r.commit,
		PrevSeq: r.prevSeq, PrevSum: r.prevSum, Checkpoint: r.checkpoint, Time: r.time,
		Part: r.part, Parts: r.parts, Body: r.body, Sum: checksum(data),
	}
	if r.kind == kindPart {
		v.PartOf = r.partOf.String()
	}
	return v, nil
}

// InspectCommit reads the body of a commit; that of one in parts is the
// parts' bodies, one after the other.
func InspectCommit(body []byte) (CommitView, error) {
	c, err := decodeCommit(body)
	if err != nil {
		return CommitView{}, err
	}
	v := CommitView{Time: c.time, Progress: viewProgress(c.progress), TimersSet: c.timersSet, DeadLetters: c.deadLetters, Replies: c.replies}
	for _, inv := range c.invocations {
		out := InvocationView{Target: inv.target, Time: inv.time, Consumed: inv.consumed}
		for _, m := range inv.mutations {
			out.Mutations = append(out.Mutations, MutationView{m.name, m.delete, m.renew, m.value})
		}
		v.Invocations = append(v.Invocations, out)
	}
	for _, s := range c.sends {
		v.Sends = append(v.Sends, OutboundSend{To: s.to, Number: s.number, Envelope: s.envelope})
	}
	for _, g := range c.timersGone {
		if g.fired {
			v.Fired = append(v.Fired, g.id)
		} else {
			v.Cancelled = append(v.Cancelled, g.id)
		}
	}
	for _, e := range c.egress {
		v.Egress = append(v.Egress, e.message)
	}
	return v, nil
}

// InspectCheckpoint reads the body of a checkpoint.
func InspectCheckpoint(body []byte) (CheckpointView, error) {
	c, err := decodeCheckpoint(body)
	if err != nil {
		return CheckpointView{}, err
	}
	return CheckpointView{
		Applied: c.applied, Progress: viewProgress(c.progress), Next: viewPairs(c.next), Delivered: viewPairs(c.delivered),
	}, nil
}

func viewProgress(list []progress) []ProgressView {
	out := make([]ProgressView, len(list))
	for i, p := range list {
		out[i] = ProgressView{Source: p.source, High: p.high, Accepted: viewPairs(p.accepted)}
		for _, b := range p.breaks {
			out[i].Breaks = append(out[i].Breaks, BreakView{At: b.at, Place: b.at + b.shift})
		}
		for _, ref := range p.refs {
			out[i].Holes = append(out[i].Holes, InputID{p.source, ref.seq, ref.index})
		}
	}
	return out
}

func viewPairs(list []pairNumber) map[int]uint64 {
	out := make(map[int]uint64, len(list))
	for _, p := range list {
		out[p.peer] = p.number
	}
	return out
}
