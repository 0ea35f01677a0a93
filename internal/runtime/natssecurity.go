package runtime

import (
	"crypto/tls"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/broker"
)

// NATSConfig is how a worker proves to NATS servers who it is, or, if the
// server is embedded, how clients do to it. Zero fields mean none.
type NATSConfig struct {
	// Creds is a file with a user's JWT and nkey seed, for external servers.
	Creds string
	// TLSCA, TLSCert and TLSKey are files in PEM form. With external servers
	// they are the authorities of the servers, and the certificate to present.
	// With the embedded one they are the authorities of the clients, which
	// need a certificate then, and the server's own certificate.
	TLSCA, TLSCert, TLSKey string
	// Domain is the JetStream domain of external servers.
	Domain string
	// UserFile has lines of the form "name: password": the only users that an
	// embedded server lets in.
	UserFile string
}

// credentials reports whether clients of the embedded server need any.
func (c NATSConfig) credentials() bool { return c.UserFile != "" || c.TLSCA != "" }

func (c NATSConfig) check(embedded bool) error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return fmt.Errorf("%w: --nats-tls-cert and --nats-tls-key go together", ErrUsage)
	case embedded && (c.Creds != "" || c.Domain != ""):
		return fmt.Errorf("%w: --nats-creds and --js-domain are for existing NATS servers; name them with --nats", ErrUsage)
	case embedded && c.TLSCA != "" && c.TLSCert == "":
		return fmt.Errorf("%w: --nats-tls-ca for the embedded server needs --nats-tls-cert and --nats-tls-key", ErrUsage)
	case !embedded && c.UserFile != "":
		return fmt.Errorf("%w: --nats-users is for the embedded NATS server; leave it out with --nats", ErrUsage)
	}
	return nil
}

// server is what an embedded server asks of its clients.
func (c NATSConfig) server() (users []broker.User, cfg *tls.Config, err error) {
	if c.UserFile != "" {
		text, err := os.ReadFile(c.UserFile)
		if err == nil {
			users, err = broker.ParseUsers(string(text))
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: --nats-users: %w", ErrUsage, err)
		}
	}
	if c.TLSCert != "" {
		files := []string{c.TLSCert, c.TLSKey}
		if c.TLSCA != "" {
			files = append(files, c.TLSCA)
		}
		loaded, err := newReloaded(files, serverTLS, zerolog.Nop())
		if err != nil {
			return nil, nil, fmt.Errorf("%w: --nats-tls-cert, --nats-tls-key, --nats-tls-ca: %w", ErrUsage, err)
		}
		cfg = loaded.get()
		cfg.NextProtos = nil
	}
	return users, cfg, nil
}

// client is how to reach external servers.
func (c NATSConfig) client(urls []string, name string, log zerolog.Logger) broker.ConnectConfig {
	return broker.ConnectConfig{
		URLs: urls, Name: name, Creds: c.Creds, TLSCA: c.TLSCA, TLSCert: c.TLSCert, TLSKey: c.TLSKey, Domain: c.Domain, Log: log,
	}
}
