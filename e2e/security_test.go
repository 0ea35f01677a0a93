//go:build e2e

package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	sendToken    = "ingress-0123456789abcdef"
	lookToken    = "read-0123456789abcdef00"
	secret       = "s3cr3t-payload"
	quietModule  = "kind: io.statefun.endpoints.v2/http\nspec: {functions: a/*, urlPathTemplate: 'http://user:s3cr3t@127.0.0.1:1/?key=s3cr3t'}\n"
	authorizedTo = "Authorization: Bearer "
)

// exchange sends bytes over a connection of its own and returns the status and
// the body of the answer; zero if there was none.
func exchange(t *testing.T, addr, text string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	go func() { _, _ = io.WriteString(conn, text) }() // it may hang up before all is sent
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// call is a request's bytes; headers are whole lines.
func call(method, target string, body string, headers ...string) string {
	b := method + " " + target + " HTTP/1.1\r\n" + strings.Join(append(headers, ""), "\r\n")
	if !strings.Contains(b, "Host:") {
		b += "Host: localhost\r\n"
	}
	if !strings.Contains(b, "Content-Length:") && !strings.Contains(b, "Transfer-Encoding:") {
		b += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return b + "Connection: close\r\n\r\n" + body
}

func TestWhatIsHostileIsRefusedLoggedOnceAndToldNothing(t *testing.T) {
	t.Parallel()
	tokens := writeFile(t, "tokens", "ingress: "+sendToken+"\nread: "+lookToken+"\n")
	open := startApp(t, quietModule)
	guarded := startApp(t, quietModule, withArgs("--http-tokens", tokens))
	const send, functions = "/v1/send/a/b/c", "/v1/functions"
	allowed := authorizedTo + sendToken
	large := strings.Repeat(secret, 700_000)
	for name, c := range map[string]struct {
		at     *app
		bytes  string
		status int
		slug   string // empty: the server's own answer, before it is a request
	}{
		"no token":                       {guarded, call("POST", send, secret), 401, "unauthorized"},
		"no token, reading":              {guarded, call("GET", functions, ""), 401, "unauthorized"},
		"a wrong token":                  {guarded, call("POST", send, secret, authorizedTo+secret), 401, "unauthorized"},
		"another scheme":                 {guarded, call("POST", send, secret, "Authorization: Basic "+sendToken), 401, "unauthorized"},
		"two tokens":                     {guarded, call("POST", send, secret, allowed, authorizedTo+secret), 401, "unauthorized"},
		"a token in the query":           {guarded, call("POST", send+"?access_token="+sendToken, secret), 401, "unauthorized"},
		"a token without the role":       {guarded, call("POST", send, secret, authorizedTo+lookToken), 403, "forbidden"},
		"the right token":                {guarded, call("POST", send, secret, allowed), 202, ""},
		"metrics without a token":        {guarded, call("GET", "/metrics", ""), 401, "unauthorized"},
		"dead letters without a token":   {guarded, call("DELETE", "/v1/dlq?all=true", ""), 401, "unauthorized"},
		"a foreign page":                 {open, call("POST", send, secret, "Origin: http://evil.example"), 403, "forbidden"},
		"a foreign page with a token":    {guarded, call("POST", send, secret, allowed, "Origin: http://evil.example"), 403, "forbidden"},
		"a page without an origin":       {open, call("POST", send, secret, "Origin: null"), 403, "forbidden"},
		"a foreign form":                 {open, call("POST", send, secret, "Sec-Fetch-Site: cross-site"), 403, "forbidden"},
		"a rebound name":                 {open, call("GET", functions, "", "Host: evil.example"), 403, "forbidden"},
		"a rebound name in the target":   {open, call("GET", "http://evil.example"+functions, ""), 403, "forbidden"},
		"two hosts":                      {open, call("GET", functions, "", "Host: localhost", "Host: evil.example"), 400, ""},
		"a large body":                   {open, call("POST", send, large), 413, "too-large"},
		"a large chunked body":           {open, call("POST", send, strconv.FormatInt(int64(len(large)), 16)+"\r\n"+large+"\r\n0\r\n\r\n", "Transfer-Encoding: chunked"), 413, "too-large"},
		"a large body, unauthorised":     {guarded, call("POST", send, large), 401, "unauthorized"},
		"large headers":                  {open, call("GET", functions, "", "X: "+strings.Repeat("x", 100_000)), 431, ""},
		"a bad escape":                   {open, call("POST", "/v1/send/a/b/%zz", secret), 400, ""},
		"half an escape":                 {open, call("POST", "/v1/send/a/b/%4", secret), 400, ""},
		"an escape of no UTF-8":          {open, call("POST", "/v1/send/a/b/%ff", secret), 400, "bad-address"},
		"a line end in the type":         {open, call("POST", send+"?valueType=a%2Fb%0D%0ANats-Msg-Id:%20x", secret), 415, "bad-type"},
		"a line end in a header":         {open, call("POST", send, secret, "Jetfn-Type: a/b\rX: y"), 400, ""},
		"a zero in a header":             {open, call("POST", send, secret, "Jetfn-Type: a\x00b"), 400, ""},
		"a space before a colon":         {open, call("POST", send, secret, "Jetfn-Type : a/b"), 400, ""},
		"two lengths":                    {open, call("POST", send, secret, "Content-Length: 3", "Content-Length: 14"), 400, ""},
		"a negative length":              {open, call("POST", send, secret, "Content-Length: -1"), 400, ""},
		"a way up":                       {open, call("GET", "/v1/../v1/functions", ""), 404, "not-found"},
		"an encoded way up":              {open, call("GET", "/v1/%2e%2e/v1/functions", ""), 404, "not-found"},
		"a way around a token":           {guarded, call("GET", "/healthz/../v1/functions", ""), 404, "not-found"},
		"an encoded word":                {guarded, call("GET", "/v1/%66unctions", ""), 404, "not-found"},
		"two slashes":                    {guarded, call("GET", "//v1/functions", ""), 404, "not-found"},
		"a slash at the end":             {guarded, call("GET", "/v1/functions/", ""), 404, "not-found"},
		"a parameter in the path":        {guarded, call("GET", "/v1/functions;x", ""), 404, "not-found"},
		"a backslash":                    {guarded, call("GET", `/v1\functions`, ""), 404, "not-found"},
		"HEAD in the place of GET":       {guarded, call("HEAD", functions, ""), 401, ""},
		"an override of the method":      {guarded, call("GET", functions, "", "X-HTTP-Method-Override: HEAD"), 401, "unauthorized"},
		"another path in a header":       {guarded, call("GET", "/healthz", "", "X-Original-URL: "+functions), 200, ""},
		"all of the server":              {open, call("OPTIONS", "*", ""), 404, "not-found"},
		"a tunnel":                       {open, call("CONNECT", "localhost:4222", ""), 404, "not-found"},
		"a trace":                        {open, call("TRACE", functions, ""), 405, "method-not-allowed"},
		"no HTTP":                        {open, "hello\r\n\r\n", 400, ""},
		"a handshake of TLS":             {open, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, ""},
		"a delay of nonsense":            {open, call("POST", send+"?delay=%00", secret), 0, "*"},
		"a listing of too many":          {open, call("GET", "/v1/state/a/b?limit=99999999999999999999", ""), 400, "bad-request"},
		"a cursor of nonsense":           {open, call("GET", "/v1/state/a/b?after=%00%ff&limit=1", ""), 0, "*"},
		"a dead letter with a wild name": {open, call("GET", "/v1/dlq/..%2F..%2Fetc", ""), 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := exchange(t, c.at.http, c.bytes)
			if c.slug == "*" { // whatever it is, it is no fault of ours
				if status == 0 || status >= 500 && !strings.Contains(body, "unsupported") {
					t.Errorf("answered %d %s", status, body)
				}
				return
			}
			if status != c.status {
				t.Fatalf("answered %d %s, want %d", status, body, c.status)
			}
			for _, word := range []string{secret, sendToken, lookToken, "goroutine", ".go:"} {
				if strings.Contains(body, word) {
					t.Errorf("the answer tells %q: %s", word, body)
				}
			}
			var problem struct{ Type string }
			if c.slug != "" && (json.Unmarshal([]byte(body), &problem) != nil || problem.Type != "urn:jetfn:problem:"+c.slug) {
				t.Errorf("answered %s, want the problem %s", body, c.slug)
			}
		})
	}
	slow(t, open)
	for _, a := range []*app{open, guarded} {
		if err := a.ready(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		checkLog(t, a)
	}
}

// slow drips headers over many connections, which have to be cut off.
func slow(t *testing.T, a *app) {
	t.Helper()
	began := time.Now()
	ended := make(chan time.Duration)
	const clients = 20
	for range clients {
		conn, err := net.Dial("tcp", a.http)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n")
			for err == nil && time.Since(began) < 40*time.Second {
				_, err = io.WriteString(conn, "X: x\r\n")
				time.Sleep(100 * time.Millisecond)
			}
			ended <- time.Since(began)
		}()
	}
	for range clients {
		if took := <-ended; took < 9*time.Second || took > 35*time.Second {
			t.Errorf("a slow client was cut off after %v, want 10 s", took)
		}
	}
}

// checkLog finds one line a reason and ten seconds, and no secret.
func checkLog(t *testing.T, a *app) {
	t.Helper()
	a.terminate(t)
	text := a.output.String()
	for _, word := range []string{secret, sendToken, lookToken, "s3cr3t"} {
		if strings.Contains(text, word) {
			t.Errorf("the log tells %q:\n%s", word, text)
		}
	}
	last := map[string]time.Time{}
	for line := range strings.Lines(text) {
		var entry struct {
			Message, Reason string
			Time            time.Time
		}
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Message != "request refused" {
			continue
		}
		// A reason has a limit of its own for the connection and for the request.
		if before, ok := last[entry.Reason]; ok && entry.Time.Sub(before) < 9*time.Second {
			t.Errorf("%q is logged twice within %v", entry.Reason, entry.Time.Sub(before))
		}
		last[entry.Reason] = entry.Time
	}
	if len(last) == 0 {
		t.Errorf("nothing of it is logged:\n%s", text)
	}
}

// TestSchemathesisFindsNothing lets another program, which knows nothing but
// /openapi.json, look for answers that the document doesn't allow.
func TestSchemathesisFindsNothing(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs("../.e2e/schemathesis/bin/schemathesis")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal("schemathesis is not installed; scripts/e2e-setup does it")
	}
	a := startApp(t, quietModule)
	dir := t.TempDir()
	config := "[parameters]\n\"path.namespace\" = \"a\"\n\"path.type\" = \"b\"\n\"query.timeout\" = \"100ms\"\n"
	if err := os.WriteFile(filepath.Join(dir, "schemathesis.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "schemathesis", command{path: program, dir: dir, args: []string{
		"run", "http://" + a.http + "/openapi.json", "--max-examples", "10", "--seed", "1", "--no-color", "--phases", "coverage,fuzzing", "--request-timeout", "30",
		// Not whether it takes what the document allows and refuses the rest: a
		// schema does not say what a value of a type is. Of 5xx the document
		// has some, since the function can't be reached; our own faults are in
		// the log. And /v1/dlq/replay is a dead letter's id as well.
		"--exclude-checks", "positive_data_acceptance,negative_data_rejection,not_a_server_error,allow_header_conformance",
		"--exclude-path-regex", "^/v1/tail/", // these answers don't end
	}})
	if code := p.wait(t, 5*time.Minute); code != 0 {
		t.Errorf("schemathesis ended with %d:\n%s", code, p.output.tail(6_000))
	}
	if text := p.output.String(); !strings.Contains(text, "passed") {
		t.Errorf("schemathesis tested nothing:\n%s", text)
	}
	for _, fault := range []string{"request failed", "handler panicked"} {
		if text := a.output.String(); strings.Contains(text, fault) {
			t.Errorf("a request met a fault of jetfn:\n%s", text)
		}
	}
}
