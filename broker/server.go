package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/internal/groupsync"
)

const (
	defaultHost       = "127.0.0.1"
	defaultPort       = 4222
	defaultMaxPayload = 8 << 20
	startLimit        = 30 * time.Second
	greetLimit        = 10 * time.Second // until a new connection says who it is
	insideUser        = "jetfn"
	outsideUser       = "client"
	callsUser         = "jetfn-calls"
)

// ServerConfig describes an embedded server. Zero fields mean the defaults.
type ServerConfig struct {
	StoreDir     string
	Host         string // default 127.0.0.1
	Port         int    // -1: any free port; zero: 4222
	SyncAlways   bool
	SyncInterval time.Duration // without SyncAlways; default is the server's, 2 minutes
	SyncGroups   bool          // makes a Syncer of the file system that StoreDir is on
	// SyncWhole makes a sync each SyncInterval one of all streams at once, where
	// the file system that StoreDir is on can do that.
	SyncWhole  bool
	MaxPayload int32  // default 8 MiB
	App        string // whose internal subjects outsiders may not publish to
	// Users are those who may connect from outside. Without any, everybody may
	// who reaches the listener.
	Users []User
	// TLS, if set, is what the listener speaks. Connections inside the process
	// don't need it.
	TLS *tls.Config
	// DontListen makes a server that only this process can use, for tests.
	DontListen bool
	Log        zerolog.Logger
}

// Server is a NATS server with JetStream inside this process.
type Server struct {
	srv      *server.Server
	password string
	outside  string // of callsUser
	log      zerolog.Logger
	failed   chan error
	disk     *groupsync.Disk // nil unless it is synced as a whole
	syncer   *groupsync.Syncer
	done     chan struct{} // ends syncs; nil without SyncWhole
	syncs    sync.WaitGroup
}

// StartServer starts one. Clients may do all but publish to the internal
// subjects of the application.
func StartServer(cfg ServerConfig) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := checkApp(cfg.App); err != nil {
		return nil, err
	}
	if cfg.StoreDir == "" {
		return nil, errors.New("start NATS server: no directory to store in")
	}
	if !cfg.DontListen {
		if err := checkAddress(cfg.Host, cfg.Port); err != nil {
			return nil, err
		}
	}
	s := &Server{password: rand.Text(), outside: rand.Text(), log: cfg.Log, failed: make(chan error, 1)}
	if cfg.SyncGroups {
		if err := s.openSyncer(cfg.StoreDir); err != nil {
			return nil, err
		}
	}
	if cfg.SyncWhole && s.syncWhole(cfg) {
		cfg.SyncInterval = 0
	}
	log := &serverLog{log: cfg.Log, failed: s.failed}
	srv, err := server.NewServer(cfg.options(s.password, s.outside))
	if err != nil {
		s.closeSyncer()
		return nil, fmt.Errorf("start NATS server with its data in %s: %w", cfg.StoreDir, err)
	}
	srv.SetLogger(log, false, false)
	s.srv = srv
	srv.Start()
	if err := awaitReady(srv, log, cfg); err != nil {
		s.Shutdown()
		return nil, err
	}
	return s, nil
}

// awaitReady returns once clients can connect and JetStream is there.
func awaitReady(srv *server.Server, log *serverLog, cfg ServerConfig) error {
	for end := time.Now().Add(startLimit); time.Now().Before(end); {
		if why := log.died(); why != "" {
			return fmt.Errorf("start NATS server on %s with its data in %s: %s", cfg.address(), cfg.StoreDir, why)
		}
		if srv.ReadyForConnections(50 * time.Millisecond) {
			if !srv.JetStreamEnabled() {
				return fmt.Errorf("start NATS server: JetStream did not start in %s; see the log", cfg.StoreDir)
			}
			return nil
		}
	}
	return fmt.Errorf("start NATS server on %s with its data in %s: not ready after %v", cfg.address(), cfg.StoreDir, startLimit)
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.Host == "" {
		c.Host = defaultHost
	}
	if c.Port == 0 {
		c.Port = defaultPort
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = defaultMaxPayload
	}
	return c
}

func (c ServerConfig) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c ServerConfig) options(password, outsidePassword string) *server.Options {
	opts := &server.Options{
		ServerName:             "jetfn-" + c.App,
		Host:                   c.Host,
		Port:                   c.Port,
		DontListen:             c.DontListen,
		MaxPayload:             c.MaxPayload,
		JetStream:              true,
		StoreDir:               c.StoreDir,
		SyncAlways:             c.SyncAlways,
		SyncInterval:           c.SyncInterval,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		// Most subjects here are seen once: every acknowledgement has its own.
		// A cache of their subscribers only costs.
		NoSublistCache: true,
		// The server's own two seconds pass on a busy machine before a client
		// that has just connected comes to say who it is; jetfn's own, too.
		AuthTimeout: greetLimit.Seconds(),
		TLSTimeout:  greetLimit.Seconds(),
		Users:       []*server.User{{Username: insideUser, Password: password}},
	}
	deny := append(names{c.App}.internals(), names{c.App}.guarded()...)
	if c.SyncGroups {
		deny = append(deny, names{c.App}.inboxAll()) // a relay's
	}
	outside := &server.Permissions{Publish: &server.SubjectPermission{Deny: deny}}
	opts.Users = append(opts.Users, &server.User{Username: callsUser, Password: outsidePassword, Permissions: outside})
	for _, u := range c.Users {
		opts.Users = append(opts.Users, &server.User{Username: u.Name, Password: u.Password, Permissions: outside})
	}
	if len(c.Users) == 0 {
		opts.Users = append(opts.Users, &server.User{Username: outsideUser, Password: rand.Text(), Permissions: outside})
		opts.NoAuthUser = outsideUser
	}
	if c.TLS != nil {
		opts.TLS, opts.TLSConfig = true, c.TLS
		opts.TLSVerify = c.TLS.ClientAuth == tls.RequireAndVerifyClientCert
	}
	return opts
}

// checkAddress finds out before the server does whether it can listen, since
// the server only logs why it can't.
func checkAddress(host string, port int) error {
	if port < -1 || port > 65535 {
		return fmt.Errorf("NATS port %d is out of range; choose one from 1 to 65535, or -1 for any free one", port)
	}
	if port == -1 {
		port = 0
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address) //nolint:forbidigo // listening does not block
	if err != nil {
		return fmt.Errorf("listen for NATS clients on %s: %w; end what uses the address, or choose another one", address, err)
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("listen for NATS clients on %s: %w", address, err)
	}
	return nil
}

// Connect returns a connection inside the process that may do everything.
func (s *Server) Connect(name string) (*nats.Conn, error) {
	return s.connect(name, insideUser, s.password)
}

// ConnectOutside returns a connection inside the process that has no more
// rights than clients have.
func (s *Server) ConnectOutside(name string) (*nats.Conn, error) {
	return s.connect(name, callsUser, s.outside)
}

func (s *Server) connect(name, user, password string) (*nats.Conn, error) {
	opts := append(connOptions(name, s.log), nats.InProcessServer(s.srv), nats.UserInfo(user, password), nats.Timeout(greetLimit))
	nc, err := nats.Connect("", opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// Addr is the host and port that clients may use; empty if it listens to none.
func (s *Server) Addr() string {
	if addr := s.srv.Addr(); addr != nil {
		return addr.String()
	}
	return ""
}

// Failed delivers an error, once, if the disk refused a write, for instance
// because it is full. From then on writes stay unanswered, also when there is
// space again, until the server is started anew. What was acknowledged is
// safe.
func (s *Server) Failed() <-chan error { return s.failed }

// Stored returns how many bytes all streams and buckets take, and the most that
// the server lets them: beyond it nothing can be written, states neither.
func (s *Server) Stored() (used, limit int64) {
	told, err := s.srv.Jsz(nil)
	if err != nil { // without JetStream
		return 0, 0
	}
	return int64(min(told.Store, math.MaxInt64)), told.Config.MaxStore //nolint:gosec // it is bounded
}

// Shutdown ends the server and waits until it has ended.
func (s *Server) Shutdown() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	s.closeSyncer()
}
