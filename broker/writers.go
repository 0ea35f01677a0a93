package broker

import "github.com/jetfn/jetfn/internal/jspub"

// writers are the ways into the streams, shared by all partitions. Journals
// have none: a partition has one record on its way, and packs into the next
// one what comes meanwhile.
type writers struct {
	mailbox, egress, dlq, timers *jspub.Writer
}

// openWriters has messages go in batches where each would be synced by itself.
func (a *App) openWriters() {
	s, sync := &a.streams, a.cfg.SyncAlways
	a.writers = writers{
		mailbox: a.pub.NewWriter(s.mailbox, sync),
		egress:  a.pub.NewWriter(s.egress, sync),
		dlq:     a.pub.NewWriter(s.dlq, sync),
		timers:  a.pub.NewWriter(s.timers, sync),
	}
}
