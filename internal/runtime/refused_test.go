package runtime_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestASubjectThatAnotherStreamHasIsRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	js, err := jetstream.New(dial(t, url))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"theirs.>"}}); err != nil {
		t.Fatal(err)
	}
	r := newRecorder(t)
	cfg := revised(t, endpoint("example/a", r.server.URL))
	cfg.NATSURLs = []string{url}
	w := start(t, cfg)
	status, body := w.put(endpoint("example/a", r.server.URL) + "---\nkind: io.jetfn.nats.v1/egress\nspec: {id: shop/out, subject: theirs.out}\n")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "THEIRS") || !strings.Contains(body, `"line":5`) {
		t.Errorf("PUT = %d %s, want 422 that names the stream and the line", status, body)
	}
	status, body = w.put(endpoint("example/a", r.server.URL) + "---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, stream: NOBODYS, targets: [example/a]}\n")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "NOBODYS") || !strings.Contains(body, `"line":5`) {
		t.Errorf("PUT = %d %s, want 422 that names the stream and the line", status, body)
	}
	if list := w.revisions(); len(list) != 1 || !list[0].InPlace {
		t.Errorf("revisions = %+v, want the first alone", list)
	}
	w.apply(endpoint("example/a", r.server.URL) + "---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, stream: THEIRS, targets: [example/a]}\n")
	if _, err := js.Publish(t.Context(), "theirs.k1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record of the existing stream arrives", func() bool { return r.got("a/k1") == 1 })
	w.apply(endpoint("example/a", r.server.URL))
	if _, err := js.Publish(t.Context(), "theirs.k2", []byte("x")); err != nil {
		t.Fatal(err)
	}
	w.apply(endpoint("example/a", r.server.URL) + "---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, stream: THEIRS, targets: [example/a]}\n")
	eventually(t, "what came meanwhile arrives", func() bool { return r.got("a/k2") == 1 })
	if n := r.got("a/k1"); n != 1 {
		t.Errorf("the first record arrived %d times", n)
	}
}
