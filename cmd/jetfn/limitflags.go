package main

import "github.com/jetfn/jetfn/internal/runtime"

// limitFlags bound what one call of a function may bring about. What exceeds
// them fails that call alone, and its message becomes a dead letter.
type limitFlags struct {
	MaxSends  int   `default:"250000" help:"Messages that one call may send, to functions, later, and to egresses together."`
	MaxCommit int   `default:"67108864" help:"Bytes of the messages of one call."`
	MaxState  int   `default:"0" placeholder:"N" help:"Bytes of the state of one address; 0: what fits into a message of the server."`
	MaxReply  int64 `default:"0" placeholder:"N" help:"Bytes of a function's reply, whatever the module says; 0: as the module says, else 32 MiB."`
}

func (f *limitFlags) config() runtime.Limits {
	return runtime.Limits{MaxSends: f.MaxSends, MaxCommitBytes: f.MaxCommit, MaxStateBytes: f.MaxState, MaxReplyBytes: f.MaxReply}
}
