package runtime_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/module"
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

func TestARouterSendsRecordsWhereTheirContentsSay(t *testing.T) {
	t.Parallel()
	order := emitter(t, "shop", "receipts", func(id string) *pb.TypedValue { return kafkaRecord(t, "receipts", id) })
	text, err := os.ReadFile("../module/testdata/format-3.0.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, found := module.Parse([]module.Source{{Name: "../module/testdata/module.yaml", Data: bytes.ReplaceAll(text, []byte("http://functions:8000/{function.name}"), []byte(order))}}, module.Options{})
	if len(found) > 0 {
		t.Fatal(found)
	}
	w := start(t, runtime.Config{NATSForKafka: true, Module: m})
	receipts, letters := subscribe(t, w.NATS, "jetfn.egress.kafka.>"), subscribe(t, w.NATS, "jetfn.dlq.>")
	nc := dial(t, w.NATS)
	// Customer 7 buys a pen at the desk: shop/DESK/7-pen.
	record := []byte("\x12\x02\x10\x07\x1a\x05\x0a\x03pen\x20\x01")
	for range 20 {
		if _, err := nc.Request("jetfn.ingress.kafka.raw-orders.some-key", record, patience); err != nil {
			t.Fatal(err)
		}
		if m := next(t, receipts); m.Subject != "jetfn.egress.kafka.receipts.7-pen" || m.Header.Get("Jetfn-Source") != "shop/DESK/7-pen" {
			t.Fatalf("receipt on %s from %s, want one from shop/DESK/7-pen", m.Subject, m.Header.Get("Jetfn-Source"))
		}
	}
	for data, want := range map[string]string{
		"\xff":             `"bad-type"`,
		"\x12\x02\x10\x07": "shop.Order.items has 0 items, there is none at 0",
	} {
		if _, err := nc.Request("jetfn.ingress.kafka.raw-orders.some-key", []byte(data), patience); err != nil {
			t.Fatal(err)
		}
		if m := next(t, letters); !strings.Contains(string(m.Data), want) {
			t.Errorf("dead letter of %q: %s, want %s in it", data, m.Data, want)
		}
	}
}

func TestWhatIsWrittenToATopicIsReadFromIt(t *testing.T) {
	t.Parallel()
	first := emitter(t, "shop", "receipts", func(id string) *pb.TypedValue { return kafkaRecord(t, "middle", id) })
	second := emitter(t, "shop", "receipts", func(id string) *pb.TypedValue { return kafkaRecord(t, "last", id) })
	topics := func(name, target string) string {
		return "---\nkind: io.statefun.kafka.v1/ingress\nspec: {id: shop/" + name + ", address: x, consumerGroupId: y, " +
			"topics: [{topic: " + name + ", valueType: shop/Order, targets: [" + target + "]}]}\n"
	}
	w := start(t, runtime.Config{NATSForKafka: true, App: "chain", Module: parse(t, endpoint("shop/first", first)+endpoint("shop/second", second)+
		kafkaIngress[strings.Index(kafkaIngress, "---\nkind: io.statefun.kafka.v1/egress"):]+topics("first", "shop/first")+topics("middle", "shop/second"))})
	last := subscribe(t, w.NATS, "chain.egress.kafka.last.*")
	if _, err := dial(t, w.NATS).Request("chain.ingress.kafka.first.Ada", []byte("an order"), patience); err != nil {
		t.Fatal(err)
	}
	if m := next(t, last); m.Subject != "chain.egress.kafka.last.Ada" || m.Header.Get("Jetfn-Source") != "shop/second/Ada" {
		t.Errorf("the last record is on %s from %s", m.Subject, m.Header.Get("Jetfn-Source"))
	}
}
