package broker

import (
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/internal/jspub"
)

// writers are the ways into the streams, shared by all partitions. Journals
// have none: a partition has one record on its way, and packs into the next
// one what comes meanwhile.
type writers struct {
	mailbox, egress, dlq, timers *jspub.Writer
}

// openWriters has messages go in batches where each would be synced by itself,
// and those to sinks in fast batches where they aren't.
func (a *App) openWriters() {
	s, sync := &a.streams, a.cfg.SyncAlways
	a.writers = writers{
		mailbox: a.pub.NewWriter(s.mailbox, sync),
		egress:  a.sinkWriter(s.egress),
		dlq:     a.sinkWriter(s.dlq),
		timers:  a.pub.NewWriter(s.timers, sync),
	}
}

func (a *App) sinkWriter(stream jetstream.Stream) *jspub.Writer {
	if a.cfg.SyncAlways {
		return a.pub.NewWriter(stream, true)
	}
	return a.pub.NewFastWriter(stream)
}
