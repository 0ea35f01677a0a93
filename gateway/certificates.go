package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/youmark/pkcs8"
)

// TLS sets whose certificates are trusted, and which one the caller shows.
// Its fields are files; empty means none.
type TLS struct {
	// TrustCACerts holds the authorities that may have signed an endpoint's
	// certificate, PEM. The default is the system's.
	TrustCACerts string
	// ClientCert holds the certificate to show, with those between it and its
	// authority, PEM.
	ClientCert string
	// ClientKey is its key, PEM: PKCS #8, encrypted or not, PKCS #1 or SEC 1.
	ClientKey string
	// ClientKeyPassword holds the password of an encrypted ClientKey; line
	// breaks at its end don't count.
	ClientKeyPassword string
}

// config reads the files.
func (t *TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.TrustCACerts != "" {
		text, err := os.ReadFile(t.TrustCACerts)
		if err != nil {
			return nil, fmt.Errorf("trust_cacerts: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("trust_cacerts: %s holds no certificate in PEM form", t.TrustCACerts)
		}
	}
	switch {
	case t.ClientCert == "" && t.ClientKey == "" && t.ClientKeyPassword == "":
		return cfg, nil
	case t.ClientCert == "":
		return nil, errors.New("client_key needs client_cert beside it")
	case t.ClientKey == "":
		return nil, errors.New("client_cert needs client_key beside it")
	}
	pair, err := t.pair()
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}

// pair reads the certificate to show, and its key.
func (t *TLS) pair() (tls.Certificate, error) {
	cert, err := os.ReadFile(t.ClientCert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client_cert: %w", err)
	}
	key, err := os.ReadFile(t.ClientKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client_key: %w", err)
	}
	if key, err = t.plainKey(key); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client_cert %s and client_key %s: %w", t.ClientCert, t.ClientKey, err)
	}
	return pair, nil
}

// plainKey is the key in PEM form, decrypted if it was encrypted.
func (t *TLS) plainKey(text []byte) ([]byte, error) {
	block := keyBlock(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("client_key: %s holds no private key in PEM form", t.ClientKey)
	case block.Headers["DEK-Info"] != "":
		return nil, fmt.Errorf("client_key: %s is encrypted in an old form; make it PKCS #8: openssl pkcs8 -topk8 -in %s", t.ClientKey, t.ClientKey)
	case block.Type != "ENCRYPTED PRIVATE KEY":
		return text, nil
	case t.ClientKeyPassword == "":
		return nil, fmt.Errorf("client_key: %s is encrypted: client_key_password has to name the file with its password", t.ClientKey)
	}
	password, err := os.ReadFile(t.ClientKeyPassword)
	if err != nil {
		return nil, fmt.Errorf("client_key_password: %w", err)
	}
	key, err := pkcs8.ParsePKCS8PrivateKey(block.Bytes, bytes.TrimRight(password, "\r\n"))
	if err != nil {
		return nil, fmt.Errorf("client_key: decrypt %s with the password in %s: %w", t.ClientKey, t.ClientKeyPassword, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("client_key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// keyBlock finds the first private key.
func keyBlock(text []byte) *pem.Block {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
	}
}
