package broker

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/groupsync"
	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	defaultPartitions = 64
	maxPartitions     = 4096
	defaultLeaseTTL   = 5 * time.Second
	defaultMaxAge     = 7 * 24 * time.Hour
	defaultGateBytes  = 64 << 20
)

// Targets says what a record of an ingress feeds: the function types, and the
// value type of the record, empty if each message says its own. False means
// that no such ingress is declared. It must always say the same of a sequence
// as long as that record is unprocessed; what it says of later ones may
// change.
type Targets func(ingress actor.TypeName, seq uint64) (types []actor.TypeName, valueType string, ok bool)

// Config of an application. Zero fields mean the defaults.
type Config struct {
	App        string // lower-case letters, digits, - and _
	Partitions int    // only at creation, default 64; zero takes what is there
	Replicas   int    // default 1
	SyncAlways bool   // the server syncs each message before it acknowledges it
	// Syncer syncs what the server acknowledges before it has synced it. Then
	// nothing is told to be stored, and nothing that was read is handed on,
	// until it is durable. With a Gate, records of ingresses come in there, too.
	// Nil: the server's acknowledgements count as they are.
	Syncer *groupsync.Syncer
	// Gate means that outside messages come in through a Gate in this process,
	// which gathers them, and not into the mailbox stream directly. GateBytes
	// is how much a gate holds at most of what is not stored yet; beyond it
	// publishers get an error. The default is 64 MiB.
	Gate      bool
	GateBytes int
	// Room, which a gate asks often, is how many bytes outside messages may
	// take now, so that what was accepted can be stored beyond them; such as
	// Server.Room. Nil: as many as the server stores.
	Room func() int64
	// EgressMaxAge bounds the egress, ingress and dead-letter streams, and
	// EgressMaxBytes the egress stream, which then refuses messages when it is
	// full. The defaults are 7 days and no limit.
	EgressMaxAge   time.Duration
	EgressMaxBytes int64
	// EgressPrefix, which AddEgress changes, replaces "<app>.egress.<ns>.<name>" as the subject of an
	// egress. A name of "*" stands for a whole namespace, whose prefix is
	// followed by the egress' name.
	EgressPrefix map[actor.TypeName]string
	// Targets is asked when an ingress record is read again (Inbox.Fetch), and
	// by a Feed that gets none of its own. Without it no ingress is declared.
	Targets  Targets
	Routings Routings      // nil: none
	LeaseTTL time.Duration // default 5 seconds
	// Domain is the JetStream domain; empty: the server's own.
	Domain string
	// PublishTimeout is how long a write waits until its outcome counts as
	// unknown. The default is 5 seconds.
	PublishTimeout time.Duration
	Log            zerolog.Logger
}

func (c Config) withDefaults() Config {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.EgressMaxAge == 0 {
		c.EgressMaxAge = defaultMaxAge
	}
	if c.GateBytes == 0 {
		c.GateBytes = defaultGateBytes
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = defaultLeaseTTL
	}
	if c.Targets == nil {
		c.Targets = func(actor.TypeName, uint64) ([]actor.TypeName, string, bool) { return nil, "", false }
	}
	return c
}

func (c Config) check() error {
	if err := checkApp(c.App); err != nil {
		return err
	}
	if c.Partitions < 0 || c.Partitions > maxPartitions {
		return fmt.Errorf("%d partitions are not possible; choose 1 to %d", c.Partitions, maxPartitions)
	}
	return checkPrefixes(c.EgressPrefix)
}

// App is an application's streams and buckets.
type App struct {
	cfg      Config
	names    names
	nc       *nats.Conn
	js       jetstream.JetStream
	pub      *jspub.Publisher
	creation creation
	streams  streams
	writers  writers

	egressScan *scanner
	dlqScan    *scanner
	letterAt   *letterIndex
	trimmers   map[actor.Source]*trimmer
	ends       map[actor.Source]*streamEnd
	timerLoads timerLoads
	prefixes   atomic.Pointer[map[actor.TypeName]string] // of egresses
	fed        atomic.Pointer[Targets]                   // what the ingress feed uses
	gate       atomic.Pointer[gate]                      // the open one
}

// Open creates the application's streams and buckets, or verifies them.
// Close the App when done; nc stays open.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*App, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("open application: %w", err)
	}
	cfg = cfg.withDefaults()
	js, err := JetStream(nc, cfg.Domain)
	if err != nil {
		return nil, fmt.Errorf("open application %s: %w", cfg.App, err)
	}
	a := &App{cfg: cfg, names: names{cfg.App}, nc: nc, js: js}
	a.prefixes.Store(&cfg.EgressPrefix)
	if err := a.open(ctx); err != nil {
		return nil, fmt.Errorf("open application %s: %w", cfg.App, err)
	}
	if a.pub, err = jspub.NewSynced(nc, cfg.PublishTimeout, cfg.Syncer); err != nil {
		return nil, fmt.Errorf("open application %s: %w", cfg.App, err)
	}
	a.openWriters()
	a.egressScan = newScanner(a, a.streams.egress)
	a.dlqScan = newScanner(a, a.streams.dlq)
	a.letterAt = newLetterIndex(a)
	a.trimmers = map[actor.Source]*trimmer{
		actor.SourceMailbox: newTrimmer(a.streams.mailbox, a.Partitions(), a.names.mailboxFilters),
		actor.SourceIngress: newTrimmer(a.streams.ingress, a.Partitions(), a.names.ingressFilters),
	}
	a.ends = map[actor.Source]*streamEnd{actor.SourceMailbox: newStreamEnd(nc), actor.SourceIngress: newStreamEnd(nc)}
	return a, nil
}

func (a *App) open(ctx context.Context) error {
	if err := a.mayPublish(ctx); err != nil {
		return err
	}
	if err := a.openMeta(ctx); err != nil {
		return err
	}
	if err := a.openCreation(ctx); err != nil {
		return err
	}
	return a.openStreams(ctx)
}

// Close ends what the App does in the background. The outcomes of writes that
// are under way become unknown. The connection stays open.
func (a *App) Close() { a.pub.Close() }

// Partitions is the number of partitions, fixed at creation.
func (a *App) Partitions() int { return a.creation.Partitions }

// Incarnation identifies this creation of the application.
func (a *App) Incarnation() string { return a.creation.Incarnation }

// Ports returns what partition p needs, all but State.
func (a *App) Ports(p int) actor.Ports {
	return actor.Ports{
		Journal: &journal{app: a, partition: p, subject: a.names.journal(p)},
		Outbox:  &outbox{app: a},
		Egress: &sink{
			app: a, partition: p, stream: a.streams.egress, scanner: a.egressScan, writer: a.writers.egress,
			markSubject: a.names.egressMark(p),
		},
		DeadLetters: &sink{
			app: a, partition: p, stream: a.streams.dlq, scanner: a.dlqScan, writer: a.writers.dlq,
			markSubject: a.names.dlqMark(p),
		},
		Timers: &timers{app: a, partition: p, subject: bucketSubject(a.names.timersBucket())},
		Inbox:  &inbox{app: a, partition: p},
		Pauses: pauseStore{a},
	}
}

// targets is what the ingress feed was given, else the configuration's.
func (a *App) targets() Targets {
	if t := a.fed.Load(); t != nil {
		return *t
	}
	return a.cfg.Targets
}
