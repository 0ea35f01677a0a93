//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const tellModule = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: e2e/tell
  urlPathTemplate: %s
`

// tell counts the messages of each address and answers each with "<n> <text>".
func tell(b batch) (e effects, err error) {
	seen, known := b.states["seen"]
	if !known {
		return effects{missing: []string{"seen"}}, nil
	}
	n := seen.long()
	for _, inv := range b.invocations {
		n++
		if inv.caller == nil {
			return e, errors.New("nobody asked")
		}
		e.sends = append(e.sends, send{target: *inv.caller, value: textValue(fmt.Sprintf("%d %s", n, inv.value.text()))})
	}
	e.set = map[string]value{"seen": longValue(n)}
	return e, nil
}

func textValue(text string) value {
	return value{typename: "io.statefun.types/string", data: protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), text)}
}

// callOnce makes one attempt of a call with a key.
func callOnce(t *testing.T, host, id, text, key string) (status int, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/v1/call/e2e/tell/"+id+"?timeout=20s", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Idempotency-Key", key)
	response, err := httpClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

const (
	callers      = 8
	callsEach    = 60
	callPatience = 3 * time.Minute
)

// callers call without a pause, each an address of its own, with a key for
// each call, which they repeat until it is answered. Since calls of an address
// come one after another, the n-th must be answered "n n": one effect each.
type callLoad struct {
	t        *testing.T
	hosts    []string // taken in turn
	answered atomic.Int64
	repeated atomic.Int64
	wg       sync.WaitGroup
}

func startCalls(t *testing.T, hosts ...string) *callLoad {
	t.Helper()
	l := &callLoad{t: t, hosts: hosts}
	for c := range callers {
		l.wg.Go(func() { l.call(c) })
	}
	t.Cleanup(l.wg.Wait)
	return l
}

func (l *callLoad) call(c int) {
	id := "caller-" + strconv.Itoa(c)
	for n := 1; n <= callsEach && l.t.Context().Err() == nil; n++ {
		text := strconv.Itoa(n)
		got, err := l.insist(c, id, text)
		if err != nil {
			l.t.Errorf("call %d of %s: %v", n, id, err)
			return
		}
		if want := text + " " + text; got != want {
			l.t.Errorf("call %d of %s is answered %q, want %q", n, id, got, want)
			return
		}
		l.answered.Add(1)
	}
}

// insist repeats a call until it is answered.
func (l *callLoad) insist(try int, id, text string) (answer string, err error) {
	for end := time.Now().Add(callPatience); time.Now().Before(end); try++ {
		var status int
		status, answer, err = callOnce(l.t, l.hosts[try%len(l.hosts)], id, text, "key-"+text)
		if err == nil && status == http.StatusOK {
			return answer, nil
		}
		if err == nil && status < http.StatusInternalServerError {
			return "", fmt.Errorf("%d %s", status, answer)
		}
		l.repeated.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
	return "", fmt.Errorf("not answered in time, at last %q, %w", answer, err)
}

// waitPast waits until the calls are a random way through the k-th of n parts.
func (l *callLoad) waitPast(k, n int) {
	l.t.Helper()
	part := callers * callsEach / (n + 1)
	moment := int64(k*part + rand.IntN(part))
	eventually(l.t, callPatience, fmt.Sprintf("%d calls to be answered", moment), func() error {
		if got := l.answered.Load(); got < moment {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
}

// verify waits for the last call and asks for some answers again.
func (l *callLoad) verify(a *app) {
	l.t.Helper()
	l.wg.Wait()
	l.t.Logf("%d calls answered, %d attempts repeated", l.answered.Load(), l.repeated.Load())
	if l.repeated.Load() == 0 {
		l.t.Error("no attempt failed: the kills hit nothing")
	}
	for c := range callers {
		id := "caller-" + strconv.Itoa(c)
		for _, text := range []string{"1", strconv.Itoa(callsEach)} {
			status, body, err := callOnce(l.t, a.http, id, text, "key-"+text)
			if err != nil || status != http.StatusOK || body != text+" "+text {
				l.t.Errorf("call %s of %s once more = %d %q, %v; want its answer", text, id, status, body, err)
			}
		}
		n, err := a.long(l.t, "e2e/tell", id, "seen")
		if err != nil || n != callsEach {
			l.t.Errorf("%s has seen %d messages (%v), want %d", id, n, err, callsEach)
		}
	}
}

func TestACallWhoseWorkerIsKilledHasOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(tellModule, serve(t, functions{"e2e/tell": tell})), withBinary(built(t, faultBinary)))
	l := startCalls(t, a.http)
	for k := 1; k <= 2; k++ {
		l.waitPast(k, 9)
		a.kill()
		a.restart(t)
	}
	for k, point := range []string{"after-append", "before-reply", "before-sends", "between-sends", "before-state"} {
		l.waitPast(k+3, 9)
		a.kill()
		fault := fmt.Sprintf("JETFN_FAULTPOINT=%s:%d", point, 1+rand.IntN(20))
		a.launch(t, fault)
		select {
		case <-a.done:
			t.Logf("died at %s", fault)
		case <-time.After(60 * time.Second):
			t.Fatalf("jetfn still lives a minute after its start with %s", fault)
		}
		a.restart(t)
	}
	l.verify(a)
}

func TestACallSurvivesTheTakeoverOfItsAddress(t *testing.T) {
	t.Parallel()
	_, url := startNATS(t, freePorts(t, 1)[0], t.TempDir())
	module := fmt.Sprintf(tellModule, serve(t, functions{"e2e/tell": tell}))
	owner := startApp(t, module, withNATS(url))
	standby := newApp(t, module, withNATS(url))
	standby.launch(t)
	l := startCalls(t, owner.http, standby.http)
	for k := 1; k <= 2; k++ {
		l.waitPast(k, 3)
		owner.kill()
		eventually(t, 30*time.Second, "the standby to take over", standby.ready)
		owner.launch(t)
		owner, standby = standby, owner
	}
	l.verify(owner)
}

// A thousand calls at once to ten addresses of a function in Python.
func TestAThousandCallsAtOnceGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	s := startSuite(t, sdks()["Python 3.5.0"])
	const calls, addresses = 1000, 10
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			id, text := fmt.Sprintf("hot-%d", i%addresses), fmt.Sprintf("call %d", i)
			r, err := request(t, http.MethodPost, "http://"+s.http+"/v1/call/suite/answerer/"+id, "text/plain", []byte(text))
			want := fmt.Sprintf("answer to %s by %s", text, id)
			if err != nil || r.status != http.StatusOK || string(r.body) != want {
				t.Errorf("call %d = %d %q, %v; want %q", i, r.status, r.body, err, want)
			}
		})
	}
	wg.Wait()
}
