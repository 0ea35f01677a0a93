package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	minServerMajor = 2
	minServerMinor = 12
	connectRetry   = 500 * time.Millisecond
	connectReport  = 3 * time.Second
)

// ConnectConfig describes the connection to an external server.
type ConnectConfig struct {
	URLs []string
	Name string
	// Creds is a file with a user's JWT and nkey seed.
	Creds string
	// TLSCA is a file with the authorities that may have signed the server's
	// certificate, instead of the system's; TLSCert and TLSKey are the
	// certificate to present. All files are read again with each connection.
	TLSCA, TLSCert, TLSKey string
	// Domain is the JetStream domain to use; empty: the server's own.
	Domain string
	Log    zerolog.Logger
}

// check finds out whether the files can be used, since waiting does not help
// if not.
func (c ConnectConfig) check() error {
	if err := checkURLs(c.URLs); err != nil {
		return err
	}
	for _, file := range []string{c.Creds, c.TLSCA} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return err
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("a certificate and its key go together")
	}
	if c.TLSCert == "" {
		return nil
	}
	_, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	return err
}

// options are what a connection needs besides its URLs.
func (c ConnectConfig) options() []nats.Option {
	opts := append(connOptions(c.Name, c.Log), nats.Timeout(2*time.Second), nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(3))
	if c.Creds != "" {
		opts = append(opts, nats.UserCredentials(c.Creds))
	}
	if c.TLSCA != "" {
		opts = append(opts, nats.RootCAs(c.TLSCA))
	}
	if c.TLSCert != "" {
		opts = append(opts, nats.ClientCert(c.TLSCert, c.TLSKey))
	}
	return opts
}

// ErrSettings means that a ConnectConfig can't be used as it is.
var ErrSettings = errors.New("unusable settings")

// errHopeless marks what waiting can't cure.
var errHopeless = errors.New("waiting does not help")

// Connect connects to an external server and waits, as long as ctx allows,
// until it is there and its JetStream is usable. It logs what it waits for.
func Connect(ctx context.Context, cfg ConnectConfig) (*nats.Conn, error) {
	urls := strings.Join(cfg.URLs, ",")
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w: %w", ErrSettings, err)
	}
	var reported time.Time
	for {
		nc, err := connectOnce(ctx, cfg, urls)
		if err == nil {
			return nc, nil
		}
		if errors.Is(err, errHopeless) {
			return nil, err
		}
		if time.Since(reported) >= connectReport {
			reported = time.Now()
			cfg.Log.Info().Str("nats", redact(cfg.URLs)).AnErr("reason", err).Msg("waiting for a usable JetStream")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no usable JetStream at %s: %w", redact(cfg.URLs), err)
		case <-time.After(connectRetry):
		}
	}
}

func connectOnce(ctx context.Context, cfg ConnectConfig, urls string) (*nats.Conn, error) {
	nc, err := nats.Connect(urls, cfg.options()...)
	if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) {
		return nil, fmt.Errorf("connect to NATS at %s: %w: check the credentials (%w)", redact(cfg.URLs), err, errHopeless)
	}
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return nil, fmt.Errorf("connect to NATS at %s: %w: check --nats-tls-ca (%w)", redact(cfg.URLs), err, errHopeless)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", redact(cfg.URLs), err)
	}
	if err := usable(ctx, nc, cfg.Domain); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// usable checks the server's version and its JetStream.
func usable(ctx context.Context, nc *nats.Conn, domain string) error {
	version := nc.ConnectedServerVersion()
	if !recent(version) {
		return fmt.Errorf("NATS server %s at %s is too old: jetfn needs %d.%d or newer (%w)",
			version, nc.ConnectedUrlRedacted(), minServerMajor, minServerMinor, errHopeless)
	}
	js, err := JetStream(nc, domain)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	switch {
	case err != nil && domain != "":
		return fmt.Errorf("ask the JetStream of the domain %s at %s: %w", domain, nc.ConnectedUrlRedacted(), err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("the NATS server at %s has no JetStream for this account; start it with -js or enable it in its configuration: %w", nc.ConnectedUrlRedacted(), err)
	case err != nil:
		return fmt.Errorf("ask JetStream at %s: %w", nc.ConnectedUrlRedacted(), err)
	}
	return nil
}

// JetStream is the JetStream of a domain; empty: the server's own.
func JetStream(nc *nats.Conn, domain string) (jetstream.JetStream, error) {
	js, err := jetstream.New(nc)
	if domain != "" {
		js, err = jetstream.NewWithDomain(nc, domain)
	}
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	return js, nil
}

// recent reports whether the version is new enough.
func recent(version string) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major > minServerMajor || major == minServerMajor && minor >= minServerMinor
}

// connOptions are what every connection has: it reconnects for ever, and what
// can't be sent now is an error now, since a buffered publish would land at an
// unknown time.
func connOptions(name string, log zerolog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.RetryOnFailedConnect(false),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() {
				log.Warn().Err(err).Msg("connection to NATS lost")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info().Str("nats", nc.ConnectedUrlRedacted()).Msg("connected to NATS again")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			event := log.Warn().Err(err)
			if sub != nil {
				event = event.Str("subject", sub.Subject)
			}
			event.Msg("NATS reported an error")
		}),
	}
}

func checkURLs(urls []string) error {
	if len(urls) == 0 {
		return errors.New("no NATS URL given, for example nats://127.0.0.1:4222")
	}
	for _, u := range urls {
		if !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		parsed, err := url.Parse(u)
		if err != nil {
			return errors.New("a NATS URL can't be parsed; write it as nats://host:port")
		}
		if parsed.Hostname() == "" {
			return fmt.Errorf("NATS URL %q names no host; write it as nats://host:port", parsed.Redacted())
		}
	}
	return nil
}

// redact joins URLs without their passwords.
func redact(urls []string) string {
	out := make([]string, 0, len(urls))
	for _, u := range urls {
		full := u
		if !strings.Contains(u, "://") {
			full = "nats://" + u
		}
		if parsed, err := url.Parse(full); err == nil {
			out = append(out, parsed.Redacted())
		}
	}
	return strings.Join(out, ",")
}
