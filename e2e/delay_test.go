//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

const delayModule = `
kind: io.statefun.endpoints.v2/http
spec: {functions: e2e/*, urlPathTemplate: "%s"}
---
kind: io.jetfn.nats.v1/ingress
spec: {id: e2e/in, targets: [e2e/count]}
---
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/*}
`

func TestMessagesDelayedFromOutsideSurviveAKill(t *testing.T) {
	t.Parallel()
	a := startApp(t, strings.Replace(delayModule, "%s", serve(t, functions{"e2e/count": count}), 1))
	_, js := a.connect(t)
	begin := time.Now()
	const after = 3 * time.Second
	if r := a.do(t, http.MethodPost, "/v1/send/e2e/count/http?delay=3s", "text/plain", []byte("x")); r.status != http.StatusAccepted {
		t.Fatalf("send = %d %s", r.status, r.body)
	}
	for key, subject := range map[string]string{"fn": "t.fn.e2e.count.fn", "ingress": "t.ingress.e2e.in.ingress"} {
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("x"), Header: nats.Header{"Jetfn-Delay": {"3s"}}}); err != nil {
			t.Fatalf("publish for %s: %v", key, err)
		}
	}
	cli := exec.CommandContext(t.Context(), a.binary, "send", "e2e/count/cli", "x", "--after", "3s", "--server", "http://"+a.http)
	if out, err := cli.CombinedOutput(); err != nil {
		t.Fatalf("jetfn send --after: %v\n%s", err, out)
	}
	a.kill()
	a.restart(t)
	ids := []string{"http", "fn", "ingress", "cli"}
	if took := time.Since(begin); took < after-500*time.Millisecond {
		for _, id := range ids {
			if n, err := a.long(t, "e2e/count", id, "seen"); err != nil || n != 0 {
				t.Errorf("%s has seen %d messages before its time, %v", id, n, err)
			}
		}
	}
	for _, id := range ids {
		a.waitCount(t, id, 1)
	}
	if took := time.Since(begin); took < after {
		t.Errorf("all arrived after %v, want %v", took, after)
	}
	a.kill() // what has arrived doesn't arrive again
	a.restart(t)
	a.send(t, "e2e/count", "http", "y")
	a.waitCount(t, "http", 2)
	for _, id := range ids[1:] {
		a.waitCount(t, id, 1)
	}
}

func TestBadDelaysAreToldAndLoseNothing(t *testing.T) {
	t.Parallel()
	a := startApp(t, strings.Replace(delayModule, "%s", serve(t, functions{"e2e/count": count}), 1))
	_, js := a.connect(t)
	for _, bad := range []string{"soon", "-1s", "10", "900000h"} {
		r := a.do(t, http.MethodPost, "/v1/send/e2e/count/a?delay="+bad, "text/plain", []byte("x"))
		if r.status != http.StatusBadRequest || !strings.Contains(string(r.body), "delay") {
			t.Errorf("?delay=%s: %d %s, want 400", bad, r.status, r.body)
		}
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "t.fn.e2e.count.a", Data: []byte("x"), Header: nats.Header{"Jetfn-Delay": {bad}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "t.fn.nobody.here.a", Data: []byte("x"), Header: nats.Header{"Jetfn-Delay": {"1h"}}}); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int{}
	eventually(t, 10*time.Second, "five dead letters", func() error {
		clear(reasons)
		for _, d := range deadLetters(t, js) {
			reasons[d.Reason]++
		}
		return wantCounts(reasons, map[string]int{"protocol": 3, "limit": 1, "unknown-function": 1})
	})
}

func wantCounts(got, want map[string]int) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("counts (-want +got):\n%s", diff)
	}
	return nil
}
