package gateway_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// file writes text to a file of its own.
func file(tb testing.TB, text []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// trust is a file with the certificate of s.
func trust(tb testing.TB, s *httptest.Server) string {
	tb.Helper()
	return file(tb, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.TLS.Certificates[0].Certificate[0]}))
}

// certificate is one for key, signed by itself, and its PEM form.
func certificate(tb testing.TB, key crypto.Signer) (*x509.Certificate, []byte) {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// mutualServer asks for a certificate that is client.
func mutualServer(tb testing.TB, client *x509.Certificate) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(noEffects))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	s.TLS.ClientCAs.AddCert(client)
	s.Config.ErrorLog = nil
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// keyFile is one of the forms that OpenSSL gave to one key.
func keyFile(name string) string { return filepath.Join("testdata", "keys", name) }

// testKey is that key.
func testKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	text, err := os.ReadFile(keyFile("pkcs8.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return key.(crypto.Signer)
}

func TestMutualTLSWithKeysOfEveryForm(t *testing.T) {
	t.Parallel()
	client, certPEM := certificate(t, testKey(t))
	server := mutualServer(t, client)
	cert := file(t, certPEM)
	for name, password := range map[string]string{
		"pkcs8.pem": "", "sec1.pem": "", "aes256-sha256.pem": "password.txt", "aes128-sha1.pem": "password.txt",
		"des3.pem": "password.txt", "scrypt.pem": "password.txt",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := gateway.TLS{TrustCACerts: trust(t, server), ClientCert: cert, ClientKey: keyFile(name)}
			if password != "" {
				files.ClientKeyPassword = keyFile(password)
			}
			e := endpointAt(t, server.URL, gateway.Transport{TLS: files})
			if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
				t.Errorf("Invoke with the key %s = %v", name, err)
			}
		})
	}
}

func TestWhoIsNotTrustedIsUnreachable(t *testing.T) {
	t.Parallel()
	client, certPEM := certificate(t, testKey(t))
	server := mutualServer(t, client)
	_, otherPEM := certificate(t, newKey(t))
	for name, c := range map[string]struct {
		files gateway.TLS
		says  string
	}{
		"the server, by the system": {gateway.TLS{ClientCert: file(t, certPEM), ClientKey: keyFile("pkcs8.pem")}, "certificate"},
		"the server, by others":     {gateway.TLS{TrustCACerts: file(t, otherPEM)}, "certificate signed by unknown authority"},
		"the client":                {gateway.TLS{TrustCACerts: trust(t, server)}, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := endpointAt(t, server.URL, gateway.Transport{TLS: c.files})
			_, err := e.Function(greeter).Invoke(t.Context(), oneHello())
			wantFailure(t, err, actor.Unreachable, actor.ReasonProtocol, c.says)
		})
	}
}

func TestUnusableCertificatesAreNamed(t *testing.T) {
	t.Parallel()
	_, certPEM := certificate(t, testKey(t))
	_, otherPEM := certificate(t, newKey(t))
	cert, key := file(t, certPEM), keyFile("pkcs8.pem")
	wrong := file(t, []byte("wrong"))
	for name, c := range map[string]struct {
		files gateway.TLS
		says  string
	}{
		"no authorities":        {gateway.TLS{TrustCACerts: "/nowhere/ca.pem"}, "trust_cacerts: open /nowhere/ca.pem"},
		"authorities of no PEM": {gateway.TLS{TrustCACerts: wrong}, "holds no certificate in PEM form"},
		"a certificate alone":   {gateway.TLS{ClientCert: cert}, "client_cert needs client_key"},
		"a key alone":           {gateway.TLS{ClientKey: key}, "client_key needs client_cert"},
		"no certificate":        {gateway.TLS{ClientCert: "/nowhere/c.pem", ClientKey: key}, "client_cert: open /nowhere/c.pem"},
		"no key":                {gateway.TLS{ClientCert: cert, ClientKey: "/nowhere/k.pem"}, "client_key: open /nowhere/k.pem"},
		"a key of no PEM":       {gateway.TLS{ClientCert: cert, ClientKey: wrong}, "holds no private key in PEM form"},
		"another key":           {gateway.TLS{ClientCert: file(t, otherPEM), ClientKey: key}, "private key does not match public key"},
		"no password":           {gateway.TLS{ClientCert: cert, ClientKey: keyFile("des3.pem")}, "client_key_password has to name the file"},
		"a password of nowhere": {gateway.TLS{ClientCert: cert, ClientKey: keyFile("des3.pem"), ClientKeyPassword: "/nowhere/p"}, "client_key_password: open /nowhere/p"},
		"a wrong password":      {gateway.TLS{ClientCert: cert, ClientKey: keyFile("scrypt.pem"), ClientKeyPassword: wrong}, "client_key: decrypt"},
		"an old encryption":     {gateway.TLS{ClientCert: cert, ClientKey: keyFile("legacy.pem"), ClientKeyPassword: keyFile("password.txt")}, "openssl pkcs8 -topk8"},
	} {
		_, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: "https://host/", Transport: gateway.Transport{TLS: c.files}})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: NewEndpoint = %v, want an error with %q", name, err, c.says)
		}
	}
}

func TestHTTP2IsSpokenWhereItIsOffered(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{gateway.TransportAsync, gateway.TransportOkHTTP} {
		var older atomic.Int64
		s, opened := countedServer(t, nil, func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				older.Add(1)
			}
			noEffects(w, r)
		})
		s.EnableHTTP2 = true
		s.StartTLS()
		e := endpointAt(t, s.URL, gateway.Transport{Kind: kind, TLS: gateway.TLS{TrustCACerts: trust(t, s)}})
		if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if opened.Load() != 1 || older.Load() > 0 {
			t.Errorf("%s: 51 calls took %d connections, %d of them spoke an older HTTP; want 1 and none", kind, opened.Load(), older.Load())
		}
	}
}
