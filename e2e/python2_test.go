//go:build e2e

package e2e_test

import (
	"fmt"
	"slices"
	"testing"
)

// kafkaModule2 is a module of StateFun 2.2 whose messages come from Kafka and
// go there. What the SDK itself can do, the suite finds out.
const kafkaModule2 = `
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: suite/counter}
          spec:
            endpoint: http://127.0.0.1:%d/functions
            maxConcurrentRequests: 1
            states: [{name: seen}]
    ingresses:
      - ingress:
          meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: suite/in}
          spec:
            address: kafka:9092
            consumerGroupId: suite
            topics:
              - {topic: asked, typeUrl: com.googleapis/google.protobuf.StringValue, targets: [suite/counter]}
    egresses:
      - egress:
          meta: {type: statefun.kafka.io/generic-egress, id: suite/out}
          spec: {address: "kafka:9092"}
`

func TestTopicsOfAModuleOf2xReachItsFunctionsAndBack(t *testing.T) {
	t.Parallel()
	k := python2("python2/sync.py")
	port := freePorts(t, 1)[0]
	startListening(t, port, k.program(t))
	a := startApp(t, fmt.Sprintf(kafkaModule2, port), withArgs("--nats-for-kafka"))
	_, js := a.connect(t)
	out := watch(t, js)
	for _, word := range []string{"a", "b"} {
		publish(t, js, "t.ingress.kafka.asked.Ada", "\x0a\x01"+word) // a StringValue, as Kafka's record has it
	}
	var got []string
	for _, r := range out.take(t, "kafka.out.Ada", 2) {
		got = append(got, k.text(r.payload))
	}
	if want := []string{"1 a", "2 b"}; !slices.Equal(got, want) {
		t.Errorf("the topic got %q, want %q", got, want)
	}
}
