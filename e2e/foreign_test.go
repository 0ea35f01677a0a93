//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const foreignModule = `
kind: io.statefun.endpoints.v2/http
spec: {functions: e2e/*, urlPathTemplate: "%s"}
---
kind: io.jetfn.nats.v1/ingress
spec: {id: e2e/shop, stream: SHOP, subject: shop.order.*, targets: [e2e/count, e2e/twin]}
---
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/*}
`

func foreignApp(t *testing.T, opts ...option) *app {
	t.Helper()
	url := serve(t, functions{"e2e/count": count, "e2e/twin": count})
	return newApp(t, fmt.Sprintf(foreignModule, url), opts...)
}

func TestAnExistingStreamIsReadExactlyOnceAcrossKillsAndATakeover(t *testing.T) {
	t.Parallel()
	const records, keys = 1500, 15
	_, addr := startNATS(t, freePorts(t, 1)[0], t.TempDir())
	a, standby := foreignApp(t, withNATS(addr)), foreignApp(t, withNATS(addr))
	_, js := a.connect(t)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SHOP", Subjects: []string{"shop.>"}})
	if err != nil {
		t.Fatal(err)
	}
	publish := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			for _, subject := range []string{fmt.Sprintf("shop.order.k%d", i%keys), "shop.noise.k0"} {
				if _, err := js.Publish(t.Context(), subject, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	publish(0, records/3)
	a.launch(t)
	a.waitReady(t)
	for _, to := range []int{2, 3} {
		publish(records*(to-1)/3, records*to/3)
		a.kill()
		a.restart(t)
	}
	standby.launch(t)
	a.kill()
	standby.waitReady(t)
	for k := range keys {
		id := fmt.Sprintf("k%d", k)
		standby.waitCount(t, id, records/keys)
		eventually(t, 20*time.Second, "e2e/twin/"+id, func() error {
			n, err := standby.long(t, "e2e/twin", id, "seen")
			if err == nil && n != records/keys {
				err = fmt.Errorf("seen = %d, want %d", n, records/keys)
			}
			return err
		})
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 2*records {
		t.Errorf("the stream has %+v, %v, want all its %d records", info.State, err, 2*records)
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, the first %+v", len(d), d[0])
	}
}

func TestAStreamOfTheEmbeddedServerIsAnIngress(t *testing.T) {
	t.Parallel()
	a := foreignApp(t)
	a.launch(t)
	if code := a.wait(t, 30*time.Second); code != 1 {
		t.Errorf("jetfn run without the stream ended with %d, want 1", code)
	}
	out := a.output.tail(4000)
	for _, want := range []string{"module.yaml:5:1", "e2e/shop", `there is no stream \"SHOP\"`} {
		if !strings.Contains(strings.ReplaceAll(out, `"SHOP"`, `\"SHOP\"`), want) {
			t.Errorf("jetfn run without the stream says %s, want %s", out, want)
		}
	}
	plain := startApp(t, fmt.Sprintf(pipelineModule, serve(t, functions{})), withData(a.data))
	_, js := plain.connect(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SHOP", Subjects: []string{"shop.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "shop.order.a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	plain.terminate(t)
	a.restart(t)
	a.waitCount(t, "a", 1)
	_, js = a.connect(t)
	if _, err := js.Publish(t.Context(), "shop.order.a", []byte("y")); err != nil {
		t.Fatal(err)
	}
	a.waitCount(t, "a", 2)
}
