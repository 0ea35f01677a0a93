package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/wire/egress"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

const kafkaIngress = `---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/orders
  address: nowhere:9092
  consumerGroupId: shop
  topics: [{topic: new.orders, valueType: shop/Order, targets: [shop/order]}]
---
kind: io.statefun.kinesis.v1/ingress
spec:
  id: shop/returns
  streams: [{stream: returns, valueType: shop/Order, targets: [shop/order, shop/audit]}]
---
kind: io.statefun.kafka.v1/egress
spec: {id: shop/receipts, address: "nowhere:9092"}
---
kind: io.statefun.kinesis.v1/egress
spec: {id: shop/labels}
`

// kafkaRecord is a record for a topic.
func kafkaRecord(t *testing.T, topic, key string) *pb.TypedValue {
	t.Helper()
	data, err := proto.Marshal(&egress.KafkaProducerRecord{Topic: topic, Key: key, ValueBytes: []byte("for " + key)})
	if err != nil {
		t.Error(err)
	}
	return &pb.TypedValue{Typename: "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord", HasValue: true, Value: data}
}

func TestTopicsAreSubjectsWithoutKafka(t *testing.T) {
	t.Parallel()
	order := emitter(t, "shop", "receipts", func(id string) *pb.TypedValue { return kafkaRecord(t, "receipts.v1", id) })
	audit := emitter(t, "shop", "labels", func(id string) *pb.TypedValue {
		data, err := proto.Marshal(&egress.KinesisEgressRecord{Stream: "labels", PartitionKey: id, ValueBytes: []byte("label")})
		if err != nil {
			t.Error(err)
		}
		return &pb.TypedValue{Typename: "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord", HasValue: true, Value: data}
	})
	w := start(t, runtime.Config{NATSForKafka: true, Module: parse(t, endpoint("shop/order", order)+endpoint("shop/audit", audit)+kafkaIngress)})
	receipts, labels := subscribe(t, w.NATS, "jetfn.egress.kafka.>"), subscribe(t, w.NATS, "jetfn.egress.kinesis.>")
	nc := dial(t, w.NATS)
	for _, subject := range []string{"jetfn.ingress.kafka.new=2Eorders.Ada", "jetfn.ingress.kinesis.returns.Grace"} {
		if _, err := nc.Request(subject, []byte("an order"), patience); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	for range 2 {
		m := next(t, receipts)
		got[m.Subject] = string(m.Data)
		if topic := m.Header.Get("Jetfn-Topic"); topic != "receipts.v1" {
			t.Errorf("Jetfn-Topic = %q, want receipts.v1", topic)
		}
	}
	for _, id := range []string{"Ada", "Grace"} {
		if subject := "jetfn.egress.kafka.receipts=2Ev1." + id; got[subject] != "for "+id {
			t.Errorf("receipts = %v, want one on %s", got, subject)
		}
	}
	if m := next(t, labels); m.Subject != "jetfn.egress.kinesis.labels.Grace" || string(m.Data) != "label" {
		t.Errorf("label %q on %s", m.Data, m.Subject)
	}
}

func TestAnEgressOfKafkaTakesItsRecordsOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value *pb.TypedValue
		want  string
	}{
		"another type": {&pb.TypedValue{Typename: "io.statefun.types/string", HasValue: true}, `takes a KafkaProducerRecord only, the message has the type \"io.statefun.types/string\"`},
		"no topic":     {kafkaRecord(t, "", "Ada"), "names no topic"},
	} {
		order := emitter(t, "shop", "receipts", func(string) *pb.TypedValue { return c.value })
		w := start(t, runtime.Config{NATSForKafka: true, Module: parse(t, endpoint("shop/*", order)+kafkaIngress)})
		letters := subscribe(t, w.NATS, "jetfn.dlq.>")
		w.send("shop/order/Ada")
		if m := next(t, letters); !strings.Contains(string(m.Data), c.want) || !strings.Contains(string(m.Data), `"bad-type"`) {
			t.Errorf("%s: dead letter %s, want bad-type with %q", name, m.Data, c.want)
		}
	}
}

func TestTopicsThatCannotBeSubjectsAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ more, want string }{
		"another type": {
			"---\nkind: io.statefun.kafka.v1/ingress\nspec: {id: a/b, address: x, consumerGroupId: y, topics: [{topic: new.orders, valueType: a/Other, targets: [shop/f]}]}\n",
			"all that read new.orders must give it one value type; this is a/Other, at test.yaml:",
		},
		"the name is taken": {
			"---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: kafka/new.orders, targets: [shop/f]}\n",
			"would call its topic kafka/new.orders, as the ingress at test.yaml:",
		},
	} {
		m := parse(t, kafkaIngress+c.more)
		err := runtime.Run(t.Context(), runtime.Config{NATSForKafka: true, Module: m, DataDir: t.TempDir()})
		if !errors.Is(err, runtime.ErrUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Run = %v, want ErrUsage with %q", name, err, c.want)
		}
	}
}
