package sdk

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/wire/egress"
)

const (
	kafkaType   = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
	kinesisType = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
	// Protocol 2.x has the same messages under other names.
	kafkaType2   = "type.googleapis.com/org.apache.flink.statefun.flink.io.KafkaProducerRecord"
	kinesisType2 = "type.googleapis.com/org.apache.flink.statefun.flink.io.KinesisEgressRecord"
)

// Record is a record for an egress.
type Record struct {
	Egress TypeName
	Value  TypedValue

	err error
}

// ToEgress is v for the egress "namespace/name", as it is: readers find its
// type in the header Jetfn-Type.
func ToEgress(id string, v TypedValue) Record { return newRecord(id, v) }

// ToNATS is payload for a NATS egress under a key, which becomes the last
// token of its subject; an empty key is none.
func ToNATS(id, key string, payload []byte) Record { return ToKafka(id, "", key, payload) }

// ToKafka is a record for a topic. An empty key is none. At a NATS egress the
// payload is value, and the topic is in the header Jetfn-Topic.
func ToKafka(id, topic, key string, value []byte) Record {
	return newRecord(id, pack(kafkaType, &egress.KafkaProducerRecord{Key: key, Topic: topic, ValueBytes: value}))
}

// ToKinesis is a record for a stream. An empty explicitHashKey is none.
func ToKinesis(id, stream, partitionKey, explicitHashKey string, value []byte) Record {
	return newRecord(id, pack(kinesisType, &egress.KinesisEgressRecord{
		Stream: stream, PartitionKey: partitionKey, ExplicitHashKey: explicitHashKey, ValueBytes: value,
	}))
}

func newRecord(id string, v TypedValue) Record {
	name, err := ParseTypeName(id)
	if err != nil {
		err = fmt.Errorf("egress: %w", err)
	}
	return Record{Egress: name, Value: v, err: err}
}

func pack(name string, m proto.Message) TypedValue {
	data, err := proto.Marshal(m)
	return TypedValue{Type: name, Data: data, err: err}
}
