package runtime

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/gateway"
)

// HTTPConfig is who may use the HTTP listener and the playground's ports, and
// how much of them. Zero fields mean the defaults.
type HTTPConfig struct {
	// TokenFile has lines of the form "role: token", and Tokens is the same
	// text itself. Without both nobody needs a token. The file is read again
	// when it changes.
	TokenFile string
	Tokens    string
	// TLSCert and TLSKey are files in PEM form that make the listeners speak
	// TLS; with TLSClientCA clients need a certificate that one of its
	// authorities signed. All are read again when they change.
	TLSCert, TLSKey, TLSClientCA string

	MaxBodyBytes   int64 // default 8 MiB less 64 KiB
	MaxHeaderBytes int   // default 64 KiB
	MaxConnections int   // default 4,096
	MaxRequests    int   // in progress, default 16,384
}

// credentials reports whether clients need any.
func (c HTTPConfig) credentials() bool {
	return c.TokenFile != "" || c.Tokens != "" || c.TLSClientCA != ""
}

func (c HTTPConfig) check() error {
	switch {
	case c.TokenFile != "" && c.Tokens != "":
		return fmt.Errorf("%w: --http-tokens and JETFN_TOKENS are both given; use one", ErrUsage)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return fmt.Errorf("%w: --http-tls-cert and --http-tls-key go together", ErrUsage)
	case c.TLSClientCA != "" && c.TLSCert == "":
		return fmt.Errorf("%w: --http-tls-client-ca needs --http-tls-cert and --http-tls-key", ErrUsage)
	case c.MaxBodyBytes < 0 || c.MaxHeaderBytes < 0 || c.MaxConnections < 0 || c.MaxRequests < 0:
		return fmt.Errorf("%w: --http-max-body, --http-max-header, --http-max-connections and --http-max-requests can't be negative", ErrUsage)
	}
	return nil
}

// httpSecurity is what the files of an HTTPConfig say.
type httpSecurity struct {
	fixed  *gateway.Tokens            // nil: none, or from a file
	tokens *reloaded[*gateway.Tokens] // nil: none, or fixed
	tls    *reloaded[*tls.Config]     // nil: plain HTTP
}

func newHTTPSecurity(cfg HTTPConfig, log zerolog.Logger) (*httpSecurity, error) {
	s := &httpSecurity{}
	var err error
	switch {
	case cfg.Tokens != "":
		if s.fixed, err = gateway.ParseTokens(cfg.Tokens); err != nil {
			return nil, fmt.Errorf("%w: JETFN_TOKENS: %w", ErrUsage, err)
		}
	case cfg.TokenFile != "":
		parse := func(texts [][]byte) (*gateway.Tokens, error) { return gateway.ParseTokens(string(texts[0])) }
		if s.tokens, err = newReloaded([]string{cfg.TokenFile}, parse, log); err != nil {
			return nil, fmt.Errorf("%w: --http-tokens: %w", ErrUsage, err)
		}
	}
	if cfg.TLSCert != "" {
		files := []string{cfg.TLSCert, cfg.TLSKey}
		if cfg.TLSClientCA != "" {
			files = append(files, cfg.TLSClientCA)
		}
		if s.tls, err = newReloaded(files, serverTLS, log); err != nil {
			return nil, fmt.Errorf("%w: --http-tls-cert, --http-tls-key, --http-tls-client-ca: %w", ErrUsage, err)
		}
	}
	return s, nil
}

// serverTLS makes a configuration of a certificate, its key and perhaps the
// authorities of clients.
func serverTLS(texts [][]byte) (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if len(texts) > 2 {
		cfg.ClientCAs = x509.NewCertPool()
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
		if !cfg.ClientCAs.AppendCertsFromPEM(texts[2]) {
			return nil, errors.New("the client authorities' file has no certificate in PEM form")
		}
	}
	return cfg, nil
}

// run looks after the files until ctx ends.
func (s *httpSecurity) run(ctx context.Context, spawn func(func() error)) {
	if s.tokens != nil {
		spawn(func() error { return s.tokens.run(ctx) })
	}
	if s.tls != nil {
		spawn(func() error { return s.tls.run(ctx) })
	}
}

// tokenSource returns the tokens that are valid at a time; nil: none needed.
func (s *httpSecurity) tokenSource() func() *gateway.Tokens {
	switch {
	case s.fixed != nil:
		return func() *gateway.Tokens { return s.fixed }
	case s.tokens != nil:
		return s.tokens.get
	}
	return nil
}

// tlsConfig is what listeners speak; nil: plain HTTP.
func (s *httpSecurity) tlsConfig() *tls.Config {
	if s.tls == nil {
		return nil
	}
	cfg := s.tls.get().Clone()
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tls.get(), nil }
	return cfg
}

// scheme begins the listeners' URLs.
func (s *httpSecurity) scheme() string {
	if s.tls == nil {
		return "http"
	}
	return "https"
}

// access is who may call the listeners. Where clients have credentials, or
// prove to whom they speak, a foreign page can't borrow them by a host name.
func (w *worker) access() gateway.Access {
	a := gateway.Access{Tokens: w.security.tokenSource(), Log: w.cfg.Log}
	if w.cfg.Insecure || a.Tokens != nil || w.security.tls != nil {
		a.Hosts = []string{"*"}
	}
	return a
}

// serving is how the listeners serve.
func (w *worker) serving() gateway.ServeConfig {
	return gateway.ServeConfig{
		TLS: w.security.tlsConfig(), MaxConnections: w.cfg.HTTP.MaxConnections,
		MaxHeaderBytes: w.cfg.HTTP.MaxHeaderBytes, Log: w.cfg.Log,
	}
}
