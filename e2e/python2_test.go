//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// counterModule is a module of StateFun 2.2, as one of its users has it.
const counterModule = `
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: old/forward}
          spec: {endpoint: http://127.0.0.1:%[1]d/statefun}
      - function:
          meta: {kind: http, type: old/count}
          spec:
            endpoint: http://127.0.0.1:%[1]d/statefun
            states:
              - {name: seen, expireAfter: 1h}
              - {name: lease, expireAfter: 700ms, expireMode: after-write}
    ingresses:
      - ingress:
          meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: old/in}
          spec:
            address: kafka:9092
            consumerGroupId: old
            topics:
              - {topic: asked, typeUrl: com.googleapis/google.protobuf.StringValue, targets: [old/count]}
    egresses:
      - egress:
          meta: {type: statefun.kafka.io/generic-egress, id: old/out}
          spec: {address: "kafka:9092"}
`

// words are the payloads of records whose values are StringValue messages.
func words(records []emission) (texts []string) {
	for _, r := range records {
		texts = append(texts, string(r.payload[min(2, len(r.payload)):])) // behind its tag and length
	}
	return texts
}

func TestThePythonSDKOf2xRunsWithItsModule(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	startListening(t, port, python("2.2.0", "python2/counter.py")(t))
	a := startApp(t, fmt.Sprintf(counterModule, port), withArgs("--nats-for-kafka"))
	_, js := a.connect(t)
	out := watch(t, js)
	want := func(id string, texts ...string) {
		t.Helper()
		if got := words(out.take(t, "kafka.words."+id, len(texts))); strings.Join(got, ", ") != strings.Join(texts, ", ") {
			t.Fatalf("%s emitted %q, want %q", id, got, texts)
		}
	}
	for _, word := range []string{"a", "b", "c"} {
		a.send(t, "old/forward", "any", "Ada "+word)
	}
	want("Ada", "a 1", "b 2", "c 3")
	publish(t, js, "t.ingress.kafka.asked.Eve", "\x0a\x01x")
	want("Eve", "x 1")

	a.kill()
	a.restart(t)
	a.send(t, "old/count", "Ada", "later")
	want("Ada", "delayed 4")

	view, err := a.state(t, "old/count", "Ada")
	if err != nil {
		t.Fatal(err)
	}
	seen := view.Values["seen"]
	if seen.Type != "io.jetfn.types/bytes" || seen.ExpiresAt-seen.WrittenAt != time.Hour.Milliseconds() {
		t.Errorf("state of Ada = %+v, want bytes that expire an hour after they were written", view)
	}

	a.send(t, "old/count", "Ada", "forget")
	a.send(t, "old/count", "Ada", "again")
	want("Ada", "again 1")

	a.send(t, "old/count", "Bob", "lease")
	a.send(t, "old/count", "Bob", "leased?")
	want("Bob", "held")
	eventually(t, suiteLimit, "the lease to expire", func() error {
		view, err := a.state(t, "old/count", "Bob")
		if errors.Is(err, errNoState) { // it was all that Bob had
			return nil
		}
		if err != nil {
			return err
		}
		if _, there := view.Values["lease"]; there {
			return fmt.Errorf("it is still there: %+v", view)
		}
		return nil
	})
	a.send(t, "old/count", "Bob", "leased?")
	want("Bob", "gone")
}
