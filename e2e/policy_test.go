//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// moody is a function process that misbehaves on command, and keeps a log of
// what it was asked.
type moody struct {
	mu    sync.Mutex
	moods map[string]mood // by text
	log   []asked
}

// mood is what becomes of a call that has a certain message in it, by how
// often it was asked that before.
type mood func(before int) behaviour

// behaviour is how a call is answered.
type behaviour struct {
	status     int // zero: as it should be
	body       string
	retryAfter string
	hang       bool
}

// asked is one call.
type asked struct {
	at    time.Time
	texts []string
}

func newMoody(moods map[string]mood) *moody { return &moody{moods: moods} }

// always answers with the same status.
func always(status int, body string) mood {
	return func(int) behaviour { return behaviour{status: status, body: body} }
}

// mend makes everything well.
func (m *moody) mend() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moods = nil
}

// saw are the calls that had the text in them.
func (m *moody) saw(text string) (out []asked) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.log {
		if slices.Contains(a.texts, text) {
			out = append(out, a)
		}
	}
	return out
}

func (m *moody) judge(b *batch) behaviour {
	texts := make([]string, len(b.invocations))
	for i := range b.invocations {
		texts[i] = b.invocations[i].value.text()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, asked{time.Now(), texts})
	for _, text := range texts {
		mood := m.moods[text]
		if mood == nil {
			continue
		}
		before := -1
		for _, a := range m.log {
			if slices.Contains(a.texts, text) {
				before++
			}
		}
		if answer := mood(before); answer != (behaviour{}) {
			return answer
		}
	}
	return behaviour{}
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b, err := readBatch(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := m.judge(&b)
	switch {
	case answer.hang:
		<-r.Context().Done()
		return
	case answer.status != 0:
		if answer.retryAfter != "" {
			w.Header().Set("Retry-After", answer.retryAfter)
		}
		http.Error(w, answer.body, answer.status)
		return
	}
	var e effects
	for _, inv := range b.invocations {
		e.egress = append(e.egress, keyed("e2e", "counts", b.target.id, []byte(inv.value.text())))
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(e.encode())
}

const policyModule = `
kind: io.jetfn.nats.v1/egress
spec:
  id: e2e/counts
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: policy/*
  urlPathTemplate: %[1]s
  transport: {type: io.statefun.transports.v1/async, call: 3s}
  failure: {attempts: 4, budget: 30s, backoff: {min: 100ms, max: 400ms}, final: [418]}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: budget/*
  urlPathTemplate: %[1]sbudget # its own: the wait for another's circuit breaker is not of the budget
  failure: {attempts: 1000, budget: 1s, backoff: {min: 50ms, max: 100ms}}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: address/*
  urlPathTemplate: %[1]s
  failure: {attempts: 3, backoff: {min: 10ms, max: 50ms}, then: pauseAddress}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: function/*
  urlPathTemplate: %[1]s
  failure: {attempts: 3, backoff: {min: 10ms, max: 50ms}, then: pauseFunction}
`

// wanted is the dead letter that a behaviour leads to.
type wanted struct {
	function string
	mood     mood
	attempts int // zero: as many as there were
	status   int
	reason   string
	error    string          // in the letter
	gaps     []time.Duration // between attempts, at least
}

func TestDeadLettersAgreeWithWhatTheFunctionSaw(t *testing.T) {
	t.Parallel()
	backoff := []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
	second := []time.Duration{time.Second, time.Second, time.Second}
	cases := map[string]wanted{
		"fails":    {"policy/f", always(500, "the database said no"), 4, 500, "status", "the database said no", backoff},
		"conflict": {"policy/f", always(409, "somebody else"), 4, 409, "status", "409 Conflict: somebody else", backoff},
		"refused":  {"policy/f", always(400, "no such thing"), 1, 400, "status", "400 Bad Request: no such thing", nil},
		"teapot":   {"policy/f", always(418, "short and stout"), 1, 418, "status", "short and stout", nil},
		"busy": {
			"policy/f", func(int) behaviour { return behaviour{status: 500, body: "busy", retryAfter: "1"} },
			4, 500, "status", "busy", second,
		},
		"hangs":  {"policy/f", func(int) behaviour { return behaviour{hang: true} }, 4, 0, "timeout", "no answer", second},
		"budget": {"budget/f", always(500, "again"), 0, 500, "status", "again", nil},
	}
	// What can't be reached is waited for, however often.
	away := func(status int) mood {
		return func(before int) behaviour {
			switch {
			case before == 0:
				return behaviour{status: status, body: "away", retryAfter: "1"}
			case before < 8:
				return behaviour{status: status, body: "away"}
			}
			return behaviour{}
		}
	}
	moods := map[string]mood{"away": away(503), "limited": away(429)}
	for text, c := range cases {
		moods[text] = c.mood
	}
	m := newMoody(moods)
	a := startApp(t, fmt.Sprintf(policyModule, serve(t, m)))
	_, js := a.connect(t)
	for text, c := range cases {
		a.send(t, c.function, text, text)
	}
	for _, text := range []string{"away", "limited"} {
		a.send(t, "policy/g", text, text)
	}
	out := counts(t, js, 2)
	const tick = time.Millisecond // jetfn's time is in whole ones
	for _, text := range []string{"away", "limited"} {
		seen := m.saw(text)
		if len(seen) != 9 || seen[1].at.Sub(seen[0].at) < time.Second-tick || len(out[text]) != 1 {
			t.Errorf("%s was asked %d times, the second time %v after the first, and emitted %v; want 9 times, a second, once",
				text, len(seen), seen[1].at.Sub(seen[0].at), out[text])
		}
	}
	var letters []deadLetter
	eventually(t, 60*time.Second, "the dead letters", func() error {
		if letters = deadLetters(t, js); len(letters) < len(cases) {
			return fmt.Errorf("%d of %d", len(letters), len(cases))
		}
		return nil
	})
	for i := range letters {
		v := value{typename: letters[i].Type, data: letters[i].Value}
		text := v.text()
		c := cases[text]
		agrees(t, text, &c, &letters[i], m.saw(text))
	}
}

// agrees compares a dead letter with the function's log.
func agrees(t *testing.T, text string, c *wanted, d *deadLetter, seen []asked) {
	t.Helper()
	if d.Attempts != len(seen) || c.attempts != 0 && d.Attempts != c.attempts {
		t.Errorf("%s: the dead letter tells of %d attempts, the function saw %d, want %d", text, d.Attempts, len(seen), c.attempts)
		return
	}
	if d.HTTPStatus != c.status || d.Reason != c.reason || !strings.Contains(d.Error, c.error) || d.Address != c.function+"/"+text {
		t.Errorf("%s: the dead letter is %+v, want %d, %s with %q", text, *d, c.status, c.reason, c.error)
	}
	const tick = 2 * time.Millisecond // of the clocks
	first, last := seen[0].at, seen[len(seen)-1].at
	if d.FirstAt.After(first.Add(tick)) || first.Sub(d.FirstAt) > 10*time.Second || d.LastAt.After(last.Add(tick)) || last.Sub(d.LastAt) > 10*time.Second {
		t.Errorf("%s: attempts from %v to %v, the function saw them from %v to %v", text, d.FirstAt, d.LastAt, first, last)
	}
	if n := len(seen); n > 1 && !d.LastAt.After(seen[n-2].at) {
		t.Errorf("%s: the last attempt was at %v, but the function saw the one before at %v", text, d.LastAt, seen[n-2].at)
	}
	for i, least := range c.gaps {
		if got := seen[i+1].at.Sub(seen[i].at); got < least-5*time.Millisecond {
			t.Errorf("%s: %v between attempts %d and %d, want %v at least", text, got, i+1, i+2, least)
		}
	}
	if text == "budget" && last.Sub(first) > 5*time.Second { // its thousand attempts would take a minute and a half
		t.Errorf("with a budget of a second it was tried for %v", last.Sub(first))
	}
}

func TestADownFunctionCostsNoAttemptsAndAWarmUpNoMessage(t *testing.T) {
	t.Parallel()
	warm := func(before int) (b behaviour) { // as a pod that has just started
		if before < 2 {
			b = behaviour{status: 500, body: "warming up"}
		}
		return b
	}
	m := newMoody(map[string]mood{"warm": warm, "bad": always(500, "never")})
	port := freePorts(t, 1)[0]
	a := startApp(t, fmt.Sprintf(`
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/counts}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: policy/*
  urlPathTemplate: http://127.0.0.1:%d/
  failure: {attempts: 3, budget: 6s, backoff: {min: 10ms, max: 50ms}}
`, port))
	_, js := a.connect(t)
	a.send(t, "policy/f", "warm", "warm")
	a.send(t, "policy/f", "bad", "bad")
	down := time.Now()
	eventually(t, 30*time.Second, "an outage longer than attempts and budget", func() error {
		if n := a.metric(t, "jetfn_functions_remoteInvocationFailures"); n < 4 || time.Since(down) < 8*time.Second {
			return fmt.Errorf("%v calls failed in %v", n, time.Since(down))
		}
		return nil
	})
	serveAt(t, fmt.Sprintf("127.0.0.1:%d", port), m)
	if out := counts(t, js, 1)["warm"]; len(out) != 1 {
		t.Errorf("the function that had to warm up emitted %v, want one message", out)
	}
	var letters []deadLetter
	eventually(t, 30*time.Second, "the dead letter", func() error {
		if letters = deadLetters(t, js); len(letters) != 1 {
			return fmt.Errorf("%d", len(letters))
		}
		return nil
	})
	agrees(t, "bad", &wanted{function: "policy/f", attempts: 3, status: 500, reason: "status", error: "never"}, &letters[0], m.saw("bad"))
}

func TestOnePoisonousMessageAmongAThousandDeadLettersAlone(t *testing.T) {
	t.Parallel()
	const poison = "m778"
	m := newMoody(map[string]mood{poison: always(500, "indigestible")})
	a := startApp(t, fmt.Sprintf(policyModule, serve(t, m)))
	_, js := a.connect(t)
	if r := a.cli(t, "fn", "pause", "policy/f/hot"); r.code != 0 {
		t.Fatalf("fn pause: %+v", r)
	}
	var want []string
	for n := 1; n <= 1000; n++ {
		text := fmt.Sprintf("m%d", n)
		publish(t, js, "t.fn.policy.f.hot", text)
		if text != poison {
			want = append(want, text)
		}
	}
	if r := a.cli(t, "fn", "resume", "policy/f/hot"); r.code != 0 {
		t.Fatalf("fn resume: %+v", r)
	}
	if got := counts(t, js, 999)["hot"]; !slices.Equal(got, want) {
		t.Errorf("%d messages came out, or not in order: %v…", len(got), got[:min(len(got), 20)])
	}
	letters := deadLetters(t, js)
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want the poisonous one only", len(letters))
	}
	seen := m.saw(poison)
	agrees(t, "hot", &wanted{function: "policy/f", status: 500, reason: "status", error: "indigestible"}, &letters[0], seen)
	if largest, smallest := len(seen[0].texts), len(seen[len(seen)-1].texts); largest < 100 || smallest != 1 || len(seen) > 60 {
		t.Errorf("it was tried %d times, in batches of %d to %d; want halves of a large one down to it alone", len(seen), largest, smallest)
	}
}

// listed is a function as GET /v1/functions has it.
type listed struct {
	Type   string `json:"type"`
	Paused bool   `json:"paused"`
	Pause  *struct {
		Since    time.Time `json:"since"`
		By       string    `json:"by"`
		Address  string    `json:"address"`
		Error    string    `json:"error"`
		Attempts int       `json:"attempts"`
	} `json:"pause"`
	PausedAddresses int `json:"pausedAddresses"`
}

func (a *app) listed(t *testing.T, name string) (f listed) {
	t.Helper()
	var list []listed
	r := a.cli(t, "fn", "ls", "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
		t.Fatalf("fn ls: %v: %+v", err, r)
	}
	for _, f := range list {
		if f.Type == name {
			return f
		}
	}
	return listed{}
}

func TestAFailurePausesAnAddressOrAFunctionUntilItIsResumed(t *testing.T) {
	t.Parallel()
	m := newMoody(map[string]mood{"bad": always(500, "out of paper")})
	a := startApp(t, fmt.Sprintf(policyModule, serve(t, m)))
	_, js := a.connect(t)
	var want []string
	for n := range 20 {
		text := fmt.Sprintf("m%d", n)
		if n == 7 {
			text = "bad"
		}
		want = append(want, text)
		publish(t, js, "t.fn.address.f.halted", text)
	}
	publish(t, js, "t.fn.address.f.other", "fine")
	publish(t, js, "t.fn.function.f.jammed", "bad")
	eventually(t, 30*time.Second, "the pauses", func() error {
		if address, function := a.listed(t, "address/f"), a.listed(t, "function/f"); address.PausedAddresses != 1 || address.Paused || !function.Paused {
			return fmt.Errorf("%+v, %+v", address, function)
		}
		return nil
	})
	publish(t, js, "t.fn.function.f.other", "late")
	if p := a.listed(t, "function/f").Pause; p == nil || p.By != "failure" || p.Address != "function/f/jammed" || p.Attempts != 3 || !strings.Contains(p.Error, "out of paper") {
		t.Errorf("function/f is paused by %+v, want the failure of function/f/jammed", p)
	}
	r := a.cli(t, "fn", "ls")
	if !strings.Contains(r.stdout, "address/f/halted") || !strings.Contains(r.stdout, "out of paper") {
		t.Errorf("fn ls shows %s, want the address and why", r.stdout)
	}
	for _, path := range []string{"/v1/call/address/f/halted", "/v1/call/function/f/other"} {
		if r := a.do(t, http.MethodPost, path, "text/plain", []byte("x")); r.status != 503 ||
			!strings.Contains(string(r.body), "urn:jetfn:problem:paused") || !strings.Contains(string(r.body), `"accepted":false`) {
			t.Errorf("POST %s = %d %s, want 503 paused", path, r.status, r.body)
		}
	}
	resumes(t, a, js, m, want)
}

// resumes has the app killed, and the pauses ended.
func resumes(t *testing.T, a *app, js jetstream.JetStream, m *moody, want []string) {
	t.Helper()
	before := counts(t, js, 8)["halted"]
	if !slices.Equal(before, want[:7]) {
		t.Errorf("the halted address emitted %v, want %v", before, want[:7])
	}
	a.kill()
	a.restart(t)
	_, js = a.connect(t)
	asked := len(m.saw("bad"))
	publish(t, js, "t.fn.address.f.other", "fine again")
	counts(t, js, 9)
	if again := len(m.saw("bad")); again != asked || !a.listed(t, "function/f").Paused || a.listed(t, "address/f").PausedAddresses != 1 {
		t.Errorf("after a restart the function was asked %d more times, %+v", again-asked, a.listed(t, "function/f"))
	}
	m.mend()
	for _, what := range []string{"address/f/halted", "function/f"} {
		if r := a.cli(t, "fn", "resume", what); r.code != 0 || !strings.Contains(r.stdout, what+" is active") {
			t.Errorf("fn resume %s: %+v", what, r)
		}
	}
	after := counts(t, js, len(want)+4)
	if !slices.Equal(after["halted"], want) || !slices.Equal(after["jammed"], []string{"bad"}) {
		t.Errorf("the addresses emitted %v, want %v in order, and bad", after, want)
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, want none: %+v", len(d), d[0])
	}
}
