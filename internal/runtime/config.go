package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// Errors that Run wraps, so that a program can tell its user what kind of
// trouble it is.
var (
	// ErrUsage means that the configuration asks for what can't be.
	ErrUsage = errors.New("invalid configuration")
	// ErrInUse means that a port or the data directory belongs to another
	// process.
	ErrInUse = errors.New("in use")
	// ErrUnreachable means that no usable NATS was found in time.
	ErrUnreachable = errors.New("no usable NATS")
)

const (
	defaultApp     = "jetfn"
	defaultDataDir = "jetfn-data"
	defaultHTTP    = "127.0.0.1:8080"
	defaultNATS    = "127.0.0.1:4222"
	localhost      = "127.0.0.1"

	defaultMaxCalls    = 10_000
	defaultRemovedWait = time.Hour

	connectLimit = time.Minute
	drainLimit   = 10 * time.Second
	// flushLimit is how long a collector may take for what it has not been
	// told at the end.
	flushLimit = 3 * time.Second
	// syncInterval is how much an embedded server may lose without SyncAlways.
	syncInterval = time.Second
	// foreignSyncInterval is the default of a server that isn't ours.
	foreignSyncInterval = 2 * time.Minute
)

// Config of a worker. Zero fields mean the defaults.
type Config struct {
	// Module is what the application consists of. Without Sources it never
	// changes.
	Module *module.Module
	// Sources are the texts of Module. With them the module has revisions, of
	// which the application's newest one counts, and which can be changed while
	// it runs. Files are where they come from, read again when they change if
	// Watch is set, with Strict as for the first time.
	Sources []module.Source
	Files   []string
	Watch   bool
	Strict  bool
	// ResetModule makes a new revision of the Sources even if they were
	// replaced by another one.
	ResetModule bool
	// RemovedWait is how long messages wait for a function that a revision
	// doesn't have any more, until they become dead letters. The default is an
	// hour; less than zero means not at all.
	RemovedWait time.Duration

	App     string // default "jetfn"
	Version string

	// Functions run in this process, without an endpoint. They win over the
	// bindings of the module.
	Functions map[actor.TypeName]actor.FunctionSpec

	// NoDiscovery leaves functions aside that services of NATS announce.
	NoDiscovery bool

	// NATSForKafka makes Kafka's topics and Kinesis' streams NATS subjects,
	// to try an application without them.
	NATSForKafka bool

	// NATSURLs are the servers to use; without any, a server is embedded.
	NATSURLs []string

	// DataDir, NATSListen and Sync are the embedded server's: where it stores
	// (default "jetfn-data"), where it listens (default 127.0.0.1:4222), and
	// when it syncs what it stores.
	DataDir    string
	NATSListen string
	Sync       Sync // default SyncAlways

	NATS NATSConfig

	HTTPAddr       string // default 127.0.0.1:8080
	HTTP           HTTPConfig
	PlaygroundHost string // default 127.0.0.1
	Insecure       bool   // listen on other than loopback addresses

	Partitions int           // only at creation, default 64
	Replicas   int           // 1, the only one for now
	History    time.Duration // how long the journal is kept
	MaxPerTask int           // calls in flight, default 1,024
	MaxCalls   int           // clients that wait for an answer, default 10,000
	Limits     Limits

	EgressMaxAge   time.Duration // default 7 days
	EgressMaxBytes int64         // default no limit

	// Telemetry says where metrics and traces go besides /metrics; by default
	// what the environment says holds. Only its Endpoint, Environ and Spans
	// count.
	Telemetry telemetry.Options

	// Out gets the start block; nil means none.
	Out io.Writer
	// OnReady is called, if set, each time the worker becomes ready. It must
	// not block.
	OnReady func(Addresses)
	Log     zerolog.Logger
}

// Sync is when an embedded server syncs what it stores.
type Sync string

const (
	// SyncAlways is for each message, before it is acknowledged.
	SyncAlways Sync = "always"
	// SyncGroup is for many messages at once, before jetfn acknowledges them or
	// rests anything on them. The server itself acknowledges them earlier, and
	// shows them to its consumers.
	SyncGroup Sync = "group"
	// SyncInterval is a second after they are acknowledged, at most.
	SyncInterval Sync = "interval"
)

// Syncs are all of them.
func Syncs() []Sync { return []Sync{SyncAlways, SyncGroup, SyncInterval} }

// Addresses are where a worker is reached.
type Addresses struct {
	HTTP string // host and port
	NATS string // URL
}

func (c Config) withDefaults() Config {
	if c.App == "" {
		c.App = defaultApp
	}
	if c.DataDir == "" {
		c.DataDir = defaultDataDir
	}
	if c.HTTPAddr == "" {
		c.HTTPAddr = defaultHTTP
	}
	if c.NATSListen == "" {
		c.NATSListen = defaultNATS
	}
	if c.PlaygroundHost == "" {
		c.PlaygroundHost = localhost
	}
	if c.Sync == "" {
		c.Sync = SyncAlways
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.RemovedWait == 0 {
		c.RemovedWait = defaultRemovedWait
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = defaultMaxCalls
	}
	return c
}

// telemetry is where the worker of that name tells of itself.
func (c Config) telemetry(worker string) telemetry.Options {
	o := c.Telemetry
	o.Service, o.Worker, o.Version, o.Log = c.App, worker, c.Version, c.Log
	return o
}

// egressMaxAge is for how long egress and dead letters are kept.
func (c Config) egressMaxAge() time.Duration { return cmp.Or(c.EgressMaxAge, 7*24*time.Hour) }

func (c Config) embedded() bool { return len(c.NATSURLs) == 0 }

// syncsEach says whether each message is synced before it is acknowledged.
func (c Config) syncsEach() bool { return c.embedded() && c.Sync == SyncAlways }

// trimDelay keeps what a crash of the machine could make necessary again
// (PROTOCOL M6).
func (c Config) trimDelay() time.Duration {
	switch {
	case !c.embedded():
		return c.History + foreignSyncInterval
	case c.Sync == SyncInterval:
		return c.History + 2*syncInterval
	}
	return c.History
}

// check refuses what can't work, before anything is touched.
func (c Config) check() error {
	if c.Module == nil {
		return fmt.Errorf("%w: no module", ErrUsage)
	}
	if !slices.Contains(Syncs(), c.Sync) {
		return fmt.Errorf("%w: --sync %s is none of %v", ErrUsage, c.Sync, Syncs())
	}
	if c.Replicas != 1 {
		return fmt.Errorf("%w: --replicas %d is not supported yet, only 1 is", ErrUsage, c.Replicas)
	}
	if c.Partitions < 0 || c.Partitions > 4096 {
		return fmt.Errorf("%w: --partitions %d is not between 1 and 4096", ErrUsage, c.Partitions)
	}
	if err := c.Limits.check(); err != nil {
		return err
	}
	if c.MaxPerTask < 0 || c.MaxCalls < 0 || c.History < 0 {
		return fmt.Errorf("%w: --max-per-task, --max-calls and --history can't be negative", ErrUsage)
	}
	for t := range c.Functions {
		if t.Namespace == actor.OwnNamespace {
			return fmt.Errorf("%w: the function %s is in the namespace %s, which is jetfn's own", ErrUsage, t, actor.OwnNamespace)
		}
	}
	if err := c.HTTP.check(); err != nil {
		return err
	}
	if err := c.checkHost("--http", c.HTTPAddr, c.HTTP.credentials(), "--http-tokens"); err != nil {
		return err
	}
	if err := c.NATS.check(c.embedded()); err != nil {
		return err
	}
	if err := c.Telemetry.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if c.embedded() {
		return c.checkHost("--nats-listen", c.NATSListen, c.NATS.credentials(), "--nats-users")
	}
	return nil
}

// checkPlayground refuses a playground that others can reach without
// credentials.
func (c *Config) checkPlayground(m *module.Module) error {
	if len(m.PlaygroundIngresses)+len(m.PlaygroundEgresses) == 0 {
		return nil
	}
	return c.checkHost("--playground-host", net.JoinHostPort(c.PlaygroundHost, "0"), c.HTTP.credentials(), "--http-tokens")
}

// checkHost refuses addresses that others can reach without credentials.
func (c Config) checkHost(flag, address string, credentials bool, remedy string) error {
	host, _, err := splitAddress(address)
	if err != nil {
		return fmt.Errorf("%w: %s %s: %w", ErrUsage, flag, address, err)
	}
	if c.Insecure || credentials || loopback(host) {
		return nil
	}
	return fmt.Errorf("%w: %s %s can be reached from other machines, and there are no credentials; "+
		"ask for some with %s, use a loopback address such as %s, or --insecure to insist", ErrUsage, flag, address, remedy, localhost)
}

// splitAddress reads host:port, where a missing host means all interfaces.
func splitAddress(address string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, errors.New("not of the form host:port")
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q is no port from 0 to 65535", digits)
	}
	return host, port, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
