package actor

// Request is something a Partition wants done outside. The driver carries it
// out and feeds the answer back through the Partition method that the
// request's comment names. Requests are plain values, in the order they were
// made.
type Request interface{ isRequest() }

// sinkIndex tells a partition's two sinks apart.
type sinkIndex int

const (
	sinkEgress sinkIndex = iota
	sinkDeadLetters
)

type (
	// readLast is answered by gotLast.
	readLast struct{}
	// readNext is answered by gotNext.
	readNext struct{ from uint64 }
	// appendRecord is answered by appended.
	appendRecord struct {
		data  []byte
		after uint64
	}
	// purgeJournal has no answer: a purge that is lost is repeated by the next.
	purgeJournal struct{ before uint64 }
	// trimInputs has no answer either.
	trimInputs struct {
		source Source
		before uint64
	}
	// fetchInput is answered by fetched.
	fetchInput struct {
		source Source
		place  uint64
		seq    uint64 // in the stream
	}
	// publishSend is answered by sent.
	publishSend struct{ send OutboundSend }
	// sendReply has no answer.
	sendReply struct{ reply *Envelope }
	// sinkPublish is answered by sinkStored.
	sinkPublish struct {
		sink    sinkIndex
		message *SinkMessage // which nobody changes
		mark    uint64
	}
	// sinkMark is answered by sinkMarked.
	sinkMark struct {
		sink  sinkIndex
		body  []byte
		after uint64
	}
	// sinkLastMark is answered by gotMark.
	sinkLastMark struct{ sink sinkIndex }
	// sinkScan is answered by scanned.
	sinkScan struct {
		sink           sinkIndex
		after, through uint64
		count          uint64 // tells the answer from one to an earlier request
	}
	// loadState is answered by stateLoaded.
	loadState struct {
		key   StateKey
		alone bool // reading it with others brought nothing
	}
	// writeState is answered by stateWritten.
	writeState struct {
		key      StateKey
		record   StateRecord
		revision uint64
	}
	// putTimer is answered by timerPut.
	putTimer struct{ timer Timer }
	// deleteTimer is answered by timerDeleted.
	deleteTimer struct{ id TimerID }
	// loadTimers is answered by any number of timersRead, and timersLoaded.
	loadTimers struct{ run int }
	// writePause is answered by pauseWritten.
	writePause struct {
		key      PauseKey
		cause    PauseCause
		revision uint64
	}
	// readyCall asks for a place among the calls in flight; grant answers.
	readyCall struct {
		target   Address
		endpoint string
		limit    int // calls in flight to endpoint; zero: no limit
	}
	// invokeCall is answered by invoked.
	invokeCall struct {
		function Function
		endpoint string
		batch    *Batch
		policy   Policy
	}
	// giveBack returns a place that was granted and isn't wanted any more.
	giveBack struct{ place Place }
	// tellCommit, tellApplied and tellRetreat are for the observer.
	tellCommit  struct{ commit *Committed }
	tellApplied struct{ commit *Committed }
	tellRetreat struct{ done *Done }
	// notice is for the log.
	notice struct {
		level   noticeLevel
		message string
		target  Address
		detail  string
		err     error
		// letter is the dead letter that the notice is about, if it is.
		letter   *DeadLetter
		letterID SinkID
	}
)

type noticeLevel uint8

const (
	noticeDebug noticeLevel = iota
	noticeInfo
	noticeWarn
	noticeError
)

func (readLast) isRequest()     {}
func (readNext) isRequest()     {}
func (appendRecord) isRequest() {}
func (purgeJournal) isRequest() {}
func (trimInputs) isRequest()   {}
func (fetchInput) isRequest()   {}
func (publishSend) isRequest()  {}
func (sendReply) isRequest()    {}
func (sinkPublish) isRequest()  {}
func (sinkMark) isRequest()     {}
func (sinkLastMark) isRequest() {}
func (sinkScan) isRequest()     {}
func (loadState) isRequest()    {}
func (writeState) isRequest()   {}
func (putTimer) isRequest()     {}
func (deleteTimer) isRequest()  {}
func (loadTimers) isRequest()   {}
func (writePause) isRequest()   {}
func (readyCall) isRequest()    {}
func (invokeCall) isRequest()   {}
func (giveBack) isRequest()     {}
func (notice) isRequest()       {}
func (tellCommit) isRequest()   {}
func (tellApplied) isRequest()  {}
func (tellRetreat) isRequest()  {}
