package broker

import (
	"fmt"
	"os"

	"github.com/jetfn/jetfn/internal/groupsync"
)

// openSyncer makes the syncer of the file system that dir is on.
func (s *Server) openSyncer(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("start NATS server: %w", err)
	}
	disk, err := groupsync.OpenDisk(dir)
	if err != nil {
		return fmt.Errorf("sync many messages at once: %w", err)
	}
	s.disk = disk
	s.syncer = groupsync.New(disk.Sync, func(err error) {
		s.fail(fmt.Errorf("the NATS server's data can't be synced to disk: %w; what was acknowledged before is safe; see to the disk and start again", err))
	})
	return nil
}

// syncWhole begins to sync the file system of the data each interval, and
// reports whether it can. If the server did it, each stream would have a time
// of its own, and lose a tail of another length at a power failure: journals
// would end before what was derived from them, and partitions stay down.
func (s *Server) syncWhole(cfg ServerConfig) bool {
	if err := os.MkdirAll(cfg.StoreDir, 0o750); err != nil {
		return false // the server tells of it
	}
	disk, err := groupsync.OpenDisk(cfg.StoreDir)
	if err != nil {
		return false
	}
	s.disk, s.done = disk, make(chan struct{})
	s.syncs.Go(func() {
		if err := groupsync.Every(cfg.SyncInterval, disk.Sync, s.done); err != nil {
			s.fail(fmt.Errorf("the NATS server's data can't be synced to disk: %w; see to the disk and start again", err))
		}
	})
	return true
}

// Syncer is for Config; nil without ServerConfig.SyncGroups.
func (s *Server) Syncer() *groupsync.Syncer { return s.syncer }

// closeSyncer ends it, once the server doesn't write any more.
func (s *Server) closeSyncer() {
	if s.disk == nil {
		return
	}
	s.syncer.Close()
	if s.done != nil {
		close(s.done)
		s.syncs.Wait()
		s.done = nil
	}
	if err := s.disk.Close(); err != nil {
		s.log.Debug().Err(err).Msg("data directory not closed")
	}
}

// fail has Failed deliver err, unless it has something to deliver already.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first one is enough
	}
}
