package runtime_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/internal/certtest"
	"github.com/jetfn/jetfn/internal/runtime"
)

// get asks for the list of functions, which the role read may see. The status
// is zero if there was no answer.
func get(tb testing.TB, url, token string, cfg *tls.Config) int {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url+"/v1/functions", nil)
	if err != nil {
		tb.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: cfg, ForceAttemptHTTP2: true}}
	response, err := client.Do(r)
	if err != nil {
		tb.Logf("GET %s: %v", url, err)
		return 0
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		tb.Error(err)
	}
	return response.StatusCode
}

func TestTokensOfAFileAreExchangedWhileItRuns(t *testing.T) {
	t.Parallel()
	const first, second = "first-token-of-the-file", "second-token-of-the-file"
	file := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("read: " + first + "\n")
	w := start(t, runtime.Config{Module: greeter(t), HTTP: runtime.HTTPConfig{TokenFile: file}})
	url := "http://" + w.HTTP
	if none, right, wrong := get(t, url, "", nil), get(t, url, first, nil), get(t, url, second, nil); none != 401 || right != 200 || wrong != 401 {
		t.Errorf("without a token %d, with it %d, with another one %d; want 401, 200, 401", none, right, wrong)
	}
	write("read: " + second + " \n")
	eventually(t, "the new token to be valid", func() bool { return get(t, url, second, nil) == 200 })
	if got := get(t, url, first, nil); got != 401 {
		t.Errorf("the old token is answered %d, want 401", got)
	}
	write("nonsense")
	eventually(t, "the broken file to be looked at", func() bool { return strings.Contains(w.log.String(), "changed file not usable") })
	if got := get(t, url, second, nil); got != 200 {
		t.Errorf("with a broken file the last token is answered %d, want 200", got)
	}
	if text := w.log.String(); strings.Contains(text, "nonsense") || strings.Contains(text, first) || strings.Contains(text, second) {
		t.Errorf("the log quotes the file:\n%s", text)
	}
}

func TestTheListenerSpeaksTLSAndExchangesItsCertificate(t *testing.T) {
	t.Parallel()
	old, renewed := certtest.New(t), certtest.New(t)
	cert, key := old.Issue("server")
	w := start(t, runtime.Config{Module: greeter(t), HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: key}})
	if got := get(t, "https://"+w.HTTP, "", old.Client("")); got != 200 {
		t.Errorf("over TLS the answer is %d, want 200", got)
	}
	if got := get(t, "https://localhost"+w.HTTP[strings.LastIndex(w.HTTP, ":"):], "", old.Client("")); got != 200 {
		t.Errorf("over TLS by name the answer is %d, want 200", got)
	}
	if got := get(t, "http://"+w.HTTP, "", nil); got != 400 {
		t.Errorf("without TLS the answer is %d, want 400", got)
	}
	newCert, newKey := renewed.Issue("server")
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the new certificate", func() bool { return get(t, "https://"+w.HTTP, "", renewed.Client("")) == 200 })
	if got := get(t, "https://"+w.HTTP, "", old.Client("")); got != 0 {
		t.Errorf("whoever trusts the old certificate is answered %d, want nothing", got)
	}
}

func TestMutualTLSLetsInWhoHasACertificate(t *testing.T) {
	t.Parallel()
	ours, theirs := certtest.New(t), certtest.New(t)
	cert, key := ours.Issue("server")
	w := start(t, runtime.Config{Module: greeter(t), HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: key, TLSClientCA: ours.CA}})
	foreign := theirs.Client("client")
	foreign.RootCAs = ours.Pool()
	url := "https://" + w.HTTP
	if known, none, unknown := get(t, url, "", ours.Client("client")), get(t, url, "", ours.Client("")), get(t, url, "", foreign); known != 200 || none != 0 || unknown != 0 {
		t.Errorf("with a certificate %d, without one %d, with one of another authority %d; want 200, 0, 0", known, none, unknown)
	}
}

func TestThePlaygroundIsAsSafeAsTheListener(t *testing.T) {
	t.Parallel()
	const token = "a-token-for-the-playground"
	authority := certtest.New(t)
	cert, key := authority.Issue("server")
	port := freePort(t)
	m := parse(t, "kind: io.statefun.playground.v1/ingress\nspec: {port: "+itoa(port)+"}\n"+endpoint("a/b", "http://127.0.0.1:1/"))
	w := start(t, runtime.Config{Module: m, HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: key, Tokens: "ingress: " + token}})
	_ = w
	put := func(token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://127.0.0.1:"+itoa(port)+"/a/b/c", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: authority.Client("")}}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	if right, wrong := put(token), put("another"); right != 200 || wrong != 401 {
		t.Errorf("with the token %d, with another one %d; want 200, 401", right, wrong)
	}
}

func TestAnAddressThatOthersReachNeedsCredentials(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	cert, key := authority.Issue("server")
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("client: 0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "none")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  runtime.Config
		want string // of the error; empty: it starts
	}{
		"nothing":               {runtime.Config{HTTPAddr: "0.0.0.0:0"}, "--http 0.0.0.0:0 can be reached from other machines"},
		"TLS alone":             {runtime.Config{HTTPAddr: "0.0.0.0:0", HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: key}}, "can be reached"},
		"no host is all hosts":  {runtime.Config{HTTPAddr: ":0"}, "can be reached"},
		"tokens":                {runtime.Config{HTTPAddr: "0.0.0.0:0", HTTP: runtime.HTTPConfig{Tokens: "admin: 0123456789abcdef"}}, ""},
		"mutual TLS":            {runtime.Config{HTTPAddr: "0.0.0.0:0", HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: key, TLSClientCA: authority.CA}}, ""},
		"whoever insists":       {runtime.Config{HTTPAddr: "0.0.0.0:0", Insecure: true}, ""},
		"NATS":                  {runtime.Config{NATSListen: "0.0.0.0:0"}, "--nats-listen 0.0.0.0:0 can be reached"},
		"NATS without a host":   {runtime.Config{NATSListen: ":0"}, "can be reached"},
		"tokens are not NATS's": {runtime.Config{NATSListen: "0.0.0.0:0", HTTP: runtime.HTTPConfig{Tokens: "admin: 0123456789abcdef"}}, "--nats-listen"},
		"NATS with users":       {runtime.Config{NATSListen: "0.0.0.0:0", NATS: runtime.NATSConfig{UserFile: users}}, ""},
		"NATS with mutual TLS":  {runtime.Config{NATSListen: "0.0.0.0:0", NATS: runtime.NATSConfig{TLSCert: cert, TLSKey: key, TLSCA: authority.CA}}, ""},
		"NATS with TLS alone":   {runtime.Config{NATSListen: "0.0.0.0:0", NATS: runtime.NATSConfig{TLSCert: cert, TLSKey: key}}, "--nats-listen"},
		"NATS, half of TLS":     {runtime.Config{NATS: runtime.NATSConfig{TLSCert: cert}}, "--nats-tls-cert and --nats-tls-key go together"},
		"NATS authorities":      {runtime.Config{NATS: runtime.NATSConfig{TLSCA: authority.CA}}, "needs --nats-tls-cert"},
		"NATS, a wrong key":     {runtime.Config{NATS: runtime.NATSConfig{TLSCert: cert, TLSKey: cert}}, "--nats-tls-cert, --nats-tls-key"},
		"no users file":         {runtime.Config{NATS: runtime.NATSConfig{UserFile: missing}}, "--nats-users: open"},
		"an empty users file":   {runtime.Config{NATS: runtime.NATSConfig{UserFile: empty}}, "there are no users"},
		"credentials for none":  {runtime.Config{NATS: runtime.NATSConfig{Creds: users}}, "name them with --nats"},
		"a domain of none":      {runtime.Config{NATS: runtime.NATSConfig{Domain: "hub"}}, "name them with --nats"},
		"users of others":       {runtime.Config{NATSURLs: []string{"nats://127.0.0.1:1"}, NATS: runtime.NATSConfig{UserFile: users}}, "leave it out with --nats"},
		"half of TLS":           {runtime.Config{HTTP: runtime.HTTPConfig{TLSCert: cert}}, "--http-tls-cert and --http-tls-key go together"},
		"authorities alone":     {runtime.Config{HTTP: runtime.HTTPConfig{TLSClientCA: authority.CA}}, "needs --http-tls-cert"},
		"a key that is no key":  {runtime.Config{HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: cert}}, "--http-tls-cert, --http-tls-key"},
		"no authorities inside": {runtime.Config{HTTP: runtime.HTTPConfig{TLSCert: cert, TLSKey: key, TLSClientCA: key}}, "no certificate in PEM form"},
		"no tokens file":        {runtime.Config{HTTP: runtime.HTTPConfig{TokenFile: missing}}, "--http-tokens: open"},
		"an empty tokens file":  {runtime.Config{HTTP: runtime.HTTPConfig{TokenFile: empty}}, "there are no tokens"},
		"tokens twice":          {runtime.Config{HTTP: runtime.HTTPConfig{TokenFile: missing, Tokens: "x"}}, "use one"},
		"short tokens":          {runtime.Config{HTTP: runtime.HTTPConfig{Tokens: "admin: short"}}, "JETFN_TOKENS: line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Module = greeter(t)
			w := begin(t, c.cfg)
			if c.want == "" {
				w.waitReady()
				return
			}
			if err := w.wait(); !errors.Is(err, runtime.ErrUsage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run = %v, want a usage error with %q", err, c.want)
			}
		})
	}
}

func TestEveryRouteOfAWorkerIsDescribed(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: greeter(t)})
	_, text := tryGet(t, "http://"+w.HTTP+"/openapi.json")
	var document struct {
		Paths map[string]map[string]struct{ Summary string }
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil || len(document.Paths) < 8 {
		t.Fatalf("GET /openapi.json = %s, %v", text, err)
	}
	for path, operations := range document.Paths {
		for method, op := range operations {
			if op.Summary == "" {
				t.Errorf("%s %s is not described: add it to gateway/operations.go, and its ports to openapi_test.go", method, path)
			}
		}
	}
}

func TestTheStartBlockTellsNoSecret(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	const token = "a-token-that-nobody-sees"
	m := parse(t, endpoint("a/b", "http://user:s3cr3t@127.0.0.1:1/?key=s3cr3t"))
	w := start(t, runtime.Config{Module: m, Out: &out, HTTP: runtime.HTTPConfig{Tokens: "read: " + token}})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.HTTP+"/v1/functions", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	w.stop()
	for what, text := range map[string]string{"the start block": out.String(), "the log": w.log.String(), "GET /v1/functions": string(body)} {
		if strings.Contains(text, "s3cr3t") || strings.Contains(text, token) {
			t.Errorf("%s tells a secret:\n%s", what, text)
		}
	}
}
