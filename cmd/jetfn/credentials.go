package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// tokenVariable holds the token that commands present to an application.
const tokenVariable = "JETFN_TOKEN"

// credentialFlags are what a running application may ask of its clients. A
// token is no flag: whoever lists processes would see it.
type credentialFlags struct {
	TokenFile     string `type:"path" placeholder:"FILE" help:"File with the token to present; without it the variable JETFN_TOKEN has the token."`
	ServerTLSCA   string `name:"server-tls-ca" type:"path" placeholder:"FILE" help:"Authorities that may have signed the application's certificate, besides the system's."`
	ServerTLSCert string `name:"server-tls-cert" type:"path" placeholder:"FILE" help:"Certificate to present to the application."`
	ServerTLSKey  string `name:"server-tls-key" type:"path" placeholder:"FILE" help:"Its key."`
}

// token is the one to present; empty: none.
func (f *credentialFlags) token() (string, error) {
	if f.TokenFile == "" {
		return strings.TrimSpace(os.Getenv(tokenVariable)), nil
	}
	text, err := os.ReadFile(f.TokenFile)
	if err != nil {
		return "", usage{fmt.Errorf("--token-file: %w", err)}
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n:") {
		return "", usage{fmt.Errorf("--token-file %s: must hold one token and nothing else", f.TokenFile)}
	}
	return token, nil
}

// sign adds the token to a request.
func (f *credentialFlags) sign(r *http.Request) error {
	token, err := f.token()
	if err == nil && token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// tlsConfig is how to speak to an application at https.
func (f *credentialFlags) tlsConfig() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ServerTLSCA != "" {
		text, err := os.ReadFile(f.ServerTLSCA)
		if err != nil {
			return nil, usage{fmt.Errorf("--server-tls-ca: %w", err)}
		}
		if cfg.RootCAs, err = x509.SystemCertPool(); err != nil {
			cfg.RootCAs = x509.NewCertPool()
		}
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, usage{fmt.Errorf("--server-tls-ca %s: has no certificate in PEM form", f.ServerTLSCA)}
		}
	}
	if (f.ServerTLSCert == "") != (f.ServerTLSKey == "") {
		return nil, usage{errors.New("--server-tls-cert and --server-tls-key go together")}
	}
	if f.ServerTLSCert != "" {
		pair, err := tls.LoadX509KeyPair(f.ServerTLSCert, f.ServerTLSKey)
		if err != nil {
			return nil, usage{fmt.Errorf("--server-tls-cert, --server-tls-key: %w", err)}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// client makes requests to an application. It follows no redirects, since
// an application makes none.
func (f *credentialFlags) client() (*http.Client, error) {
	cfg, err := f.tlsConfig()
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
