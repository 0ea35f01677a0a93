package kvstate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/groupsync"
	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	history = 8 // revisions of a key that the bucket keeps

	headerExpected  = jetstream.ExpectedLastSubjSeqHeader
	headerRollup    = jetstream.MsgRollup
	headerTTL       = jetstream.MsgTTLHeader
	headerOperation = "KV-Operation"
	operationPurge  = "PURGE"
	// headerCommit holds a record's commit. A record that somebody read and put
	// back has no such header, so that it can't pass for a new one.
	headerCommit = "Jetfn-Commit"
	markerTTL    = 24 * time.Hour // removal markers must outlive every late write
)

// Config of a Store. Zero fields mean the defaults.
type Config struct {
	App        string
	Replicas   int  // default 1
	SyncAlways bool // each write is synced before it is acknowledged, so that they go in batches
	Alone      bool // the bucket's server has no peers and never will: whoever asks it gets what was stored last
	Partitions int  // of the application: a record that names another partition than its key's is foreign; zero: not checked
	// MarkerTTL is how long the mark of a removal stays in the bucket, in whole
	// seconds: longer than any late write may take. The default is 24 hours.
	MarkerTTL time.Duration
	// Syncer syncs what the server acknowledges before it has synced it; nil:
	// its acknowledgements count as they are.
	Syncer *groupsync.Syncer
}

// Store is the bucket "<app>_state".
type Store struct {
	stream     jetstream.Stream
	pub        *jspub.Publisher
	writer     *jspub.Writer
	nc         *nats.Conn
	prefix     string  // of the bucket's subjects
	direct     string  // of subjects of direct reads; empty: the stream's leader is asked
	reader     *reader // where there are direct reads
	partitions int

	markerTTL string
	soonest   atomic.Int64  // when something expires that was written since the sweep began
	sooner    chan struct{} // capacity one; soonest has fallen
}

// Open creates the bucket, or verifies it. Close the Store when done.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Store, error) {
	bucket := cfg.App + "_state"
	prefix := "$KV." + bucket + "."
	if err := jspub.SetDirect(ctx, js, "KV_"+bucket, cfg.Alone); err != nil {
		return nil, fmt.Errorf("open state bucket: %w", err)
	}
	stream, err := jspub.EnsureStream(ctx, js, jetstream.StreamConfig{
		Name:              "KV_" + bucket,
		Description:       "state of the functions of " + cfg.App,
		Subjects:          []string{prefix + ">"},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: history,
		Replicas:          max(cfg.Replicas, 1),
		AllowRollup:       true,
		AllowMsgTTL:       true,
		DenyDelete:        true,
		AllowDirect:       cfg.Alone,

		AllowAtomicPublish: true,
	}, jspub.Verify)
	if err != nil {
		return nil, fmt.Errorf("open state bucket: %w", err)
	}
	pub, err := jspub.NewSynced(js.Conn(), 0, cfg.Syncer)
	if err != nil {
		return nil, fmt.Errorf("open state bucket: %w", err)
	}
	s := &Store{
		stream: stream, pub: pub, writer: pub.NewWriter(stream, cfg.SyncAlways), nc: js.Conn(), prefix: prefix, partitions: cfg.Partitions,
		sooner: make(chan struct{}, 1), markerTTL: cmp.Or(cfg.MarkerTTL, markerTTL).String(),
	}
	if cfg.Alone {
		s.direct = directReads + stream.CachedInfo().Config.Name + "." + prefix
		s.reader = &reader{pub: pub, subject: directReads + stream.CachedInfo().Config.Name, prefix: prefix, decode: s.decode}
	}
	s.soonest.Store(never)
	return s, nil
}

// Close ends what the Store does in the background. The outcomes of writes
// that are under way become unknown.
func (s *Store) Close() { s.pub.Close() }

// Partition returns the view of partition p. Where the bucket is read directly
// it is an actor.StateReader too.
func (s *Store) Partition(p int) actor.StateStore {
	view := &partition{Store: s, number: p}
	if s.reader == nil {
		return view
	}
	return &reading{view}
}

// partition is the part of the bucket that one owner writes.
type partition struct {
	*Store
	number int
}

func (p *partition) Load(ctx context.Context, k actor.StateKey) (actor.LoadedState, error) {
	return p.load(ctx, k)
}

func (p *partition) Write(k actor.StateKey, r actor.StateRecord, revision uint64, done func(actor.WriteResult)) {
	key := k.Key()
	r.Partition = p.number
	data, err := Encode(key, r)
	if err != nil {
		done(actor.WriteResult{Outcome: actor.Refused, Err: err})
		return
	}
	at := deadline(r.State)
	h := append(make([]jspub.Field, 0, 6),
		jspub.Field{Name: headerExpected, Value: strconv.FormatUint(revision, 10)},
		jspub.Field{Name: headerCommit, Value: strconv.FormatUint(r.Commit, 10)},
		jspub.Field{Name: headerExpires, Value: strconv.FormatInt(at, 10)})
	if at != 0 {
		p.expires(at)
	}
	if len(r.State) == 0 {
		h = append(h, jspub.Field{Name: headerOperation, Value: operationPurge},
			jspub.Field{Name: headerRollup, Value: jetstream.MsgRollupSubject}, jspub.Field{Name: headerTTL, Value: p.markerTTL})
	}
	p.writer.Write(&jspub.Write{Subject: p.prefix + key, Header: h, Data: data}, done)
}

// MaxState leaves room for Base64, which adds a third, and for the names,
// times and types of some 8,000 values in 8 MiB.
func (p *partition) MaxState() int { return int(p.nc.MaxPayload()) / 16 * 11 }

// load reads the last revision of k's key and, if that is foreign, those
// below it.
func (s *Store) load(ctx context.Context, k actor.StateKey) (actor.LoadedState, error) {
	key := k.Key()
	last, err := s.last(ctx, key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return actor.LoadedState{}, nil
	}
	if err != nil {
		return actor.LoadedState{}, fmt.Errorf("load state of %s: %w", k, err)
	}
	record, err := s.decode(k, key, last)
	if err == nil {
		return actor.LoadedState{Record: &record, Revision: last.Sequence}, nil
	}
	if errors.Is(err, ErrNewer) {
		return actor.LoadedState{}, fmt.Errorf("load state of %s: %w", k, err)
	}
	loaded := actor.LoadedState{Revision: last.Sequence, Foreign: true, Detail: detail(last, err)}
	found, err := s.restore(ctx, k, key, last.Sequence)
	if err != nil {
		return actor.LoadedState{}, fmt.Errorf("load state of %s: %w", k, err)
	}
	loaded.Record = found
	return loaded, nil
}

// decode reads a record of ours and checks that we put it there and that it
// belongs to k's partition.
func (s *Store) decode(k actor.StateKey, key string, m *jetstream.RawStreamMsg) (actor.StateRecord, error) {
	record, err := Decode(key, m.Data)
	if err == nil && m.Header.Get(headerCommit) != strconv.FormatUint(record.Commit, 10) {
		err = fmt.Errorf("%w: a record of commit %d that was put back", ErrForeign, record.Commit)
	}
	if err == nil && s.partitions > 0 && record.Partition != k.Address.Partition(s.partitions) {
		err = fmt.Errorf("%w: it names partition %d", ErrForeign, record.Partition)
	}
	return record, err
}

// detail describes a foreign revision.
func detail(m *jetstream.RawStreamMsg, err error) string {
	operation := m.Header.Get(headerOperation)
	if operation == "" {
		operation = "PUT"
	}
	return fmt.Sprintf("foreign %s of %d bytes at revision %d: %v", operation, len(m.Data), m.Sequence, err)
}

// restore returns the newest record of ours at or below last. It returns nil
// if there never was one, and ErrStateLost if that can't be told.
func (s *Store) restore(ctx context.Context, k actor.StateKey, key string, last uint64) (*actor.StateRecord, error) {
	var newest *actor.StateRecord
	revisions, rolledUp := 0, false
	for next := uint64(1); next <= last; {
		m, err := s.stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(s.prefix+key))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		revisions++
		next = m.Sequence + 1
		record, err := s.decode(k, key, m)
		switch {
		case err == nil && (newest == nil || record.Commit >= newest.Commit): // an older one that was put back is foreign
			newest = &record
		case m.Header.Get(headerRollup) != "":
			rolledUp = true
		}
	}
	if newest == nil && (rolledUp || revisions >= history) {
		return nil, fmt.Errorf("%w: key %s has %d revisions, none of them ours; write the state again, or remove the key's messages with `nats stream purge %s --subject '%s'` to start without",
			actor.ErrStateLost, key, revisions, s.stream.CachedInfo().Config.Name, s.prefix+key)
	}
	return newest, nil
}
