package runtime_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestAnIngressOfAnExistingStreamFollowsTheModule(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	nc := dial(t, url)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SHOP", Subjects: []string{"shop.>"}}); err != nil {
		t.Fatal(err)
	}
	publish := func(subject string) {
		t.Helper()
		if _, err := js.Publish(t.Context(), subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	r := newRecorder(t)
	reads := func(subject string) string {
		return endpoint("example/a", r.server.URL) + "---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, stream: SHOP, subject: " + subject + ", targets: [example/a]}\n"
	}
	cfg := revised(t, reads("shop.order.*"))
	cfg.NATSURLs = []string{url}
	w := start(t, cfg)
	publish("shop.order.1")
	publish("shop.refund.2") // nobody reads it yet
	eventually(t, "the order is read", func() bool { return r.got("a/1") == 1 })
	w.apply(reads("shop.*.*"))
	publish("shop.refund.3")
	publish("shop.order.4")
	eventually(t, "orders and refunds are read", func() bool { return r.got("a/3") == 1 && r.got("a/4") == 1 })
	if n := r.got("a/1"); n != 1 {
		t.Errorf("the first order was read %d times, want once", n)
	}
}
