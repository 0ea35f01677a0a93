package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/groupsync"
	"github.com/jetfn/jetfn/kvstate"
)

// backbone is the NATS side of a worker: the server, if it is ours, the
// connection, and the application's streams and buckets.
type backbone struct {
	dir    *dataDir       // nil unless embedded
	server *broker.Server // nil unless embedded
	nc     *nats.Conn
	app    *broker.App
	state  *kvstate.Store
	url    string // for clients

	// existing are the streams of others that are read now.
	existing atomic.Pointer[[]*broker.Foreign]

	read  reads
	gauge gauge
}

// openBackbone starts or finds NATS and opens the application in it.
func openBackbone(ctx context.Context, cfg Config, m *modules, name string, dir *dataDir) (*backbone, error) {
	b := &backbone{dir: dir}
	var err error
	if cfg.embedded() {
		err = b.embed(cfg, name) //nolint:contextcheck // starting the server does not wait
	} else {
		err = b.connect(ctx, cfg, name)
	}
	if err == nil {
		err = b.open(ctx, cfg, m)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *backbone) embed(cfg Config, name string) error {
	host, port, err := splitAddress(cfg.NATSListen)
	if err != nil {
		return fmt.Errorf("%w: --nats-listen %s: %w", ErrUsage, cfg.NATSListen, err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if port == 0 {
		port = -1
	}
	users, tlsConfig, err := cfg.NATS.server()
	if err != nil {
		return err
	}
	server := broker.ServerConfig{
		Users: users, TLS: tlsConfig,
		StoreDir: b.dir.natsDir(), Host: host, Port: port, App: cfg.App,
		SyncAlways: cfg.Sync == SyncAlways, SyncGroups: cfg.Sync == SyncGroup, SyncInterval: syncInterval,
		SyncWhole: cfg.Sync == SyncInterval,
		Log:       cfg.Log.With().Str("component", "nats").Logger(),
	}
	b.server, err = broker.StartServer(server)
	if errors.Is(err, groupsync.ErrUnsupported) {
		return fmt.Errorf("%w: --sync group: %w; choose another directory (--data), or --sync always", ErrUsage, err)
	}
	if err != nil {
		return inUse(cfg.NATSListen, err)
	}
	if b.nc, err = b.server.Connect(name); err != nil {
		return err
	}
	b.url = "nats://" + b.server.Addr()
	return nil
}

func (b *backbone) connect(ctx context.Context, cfg Config, name string) error {
	limited, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	nc, err := broker.Connect(limited, cfg.NATS.client(cfg.NATSURLs, name, cfg.Log))
	if errors.Is(err, broker.ErrSettings) {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	b.nc, b.url = nc, nc.ConnectedUrlRedacted()
	return nil
}

func (b *backbone) open(ctx context.Context, cfg Config, m *modules) error {
	js, err := broker.JetStream(b.nc, cfg.NATS.Domain)
	if err != nil {
		return err
	}
	var syncer *groupsync.Syncer
	var room func() int64
	if b.server != nil {
		syncer, room = b.server.Syncer(), b.server.Room
	}
	b.app, err = broker.Open(ctx, b.nc, broker.Config{
		App: cfg.App, Domain: cfg.NATS.Domain, Partitions: cfg.Partitions, Replicas: cfg.Replicas,
		SyncAlways:   cfg.syncsEach(),
		Syncer:       syncer,
		Gate:         cfg.embedded(),
		Room:         room,
		EgressMaxAge: cfg.EgressMaxAge, EgressMaxBytes: cfg.EgressMaxBytes,
		EgressPrefix: prefixes(m.module()), Targets: m.targets, Routings: m.routings, Log: cfg.Log,
	})
	if err != nil {
		return err
	}
	b.state, err = kvstate.Open(ctx, js, kvstate.Config{
		App: cfg.App, Replicas: cfg.Replicas, Partitions: b.app.Partitions(),
		SyncAlways: cfg.syncsEach(), Syncer: syncer, Alone: cfg.embedded(),
	})
	if err != nil {
		return err
	}
	if err := m.start(ctx, b.app); err != nil {
		return err
	}
	_, err = openForeign(ctx, b.app, m.module())
	return err
}

// close ends all of it but the data directory.
func (b *backbone) close() {
	if b.state != nil {
		b.state.Close()
	}
	if b.app != nil {
		b.app.Close()
	}
	if b.nc != nil {
		b.nc.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
	}
}

// inUse says more plainly that the server's address is taken.
func inUse(address string, err error) error {
	if errors.Is(err, errAddressInUse) {
		return fmt.Errorf("embedded NATS server (--nats-listen): address %s is %w by another process; stop it, or choose another one", address, ErrInUse)
	}
	return err
}
