package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire/egress"
)

// The types of egress messages that are records of something else.
const (
	playgroundRecordType = "io.statefun.playground/EgressRecord"
	kafkaRecordType      = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
	kinesisRecordType    = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
	// Those of protocol 2.x, whose type URLs may begin with anything.
	kafkaRecord2   = "/org.apache.flink.statefun.flink.io.KafkaProducerRecord"
	kinesisRecord2 = "/org.apache.flink.statefun.flink.io.KinesisEgressRecord"
)

// PlaygroundRecord reads what a function handed to the playground's egress.
func PlaygroundRecord(v actor.Value) (topic, payload string, err error) {
	if v.Type != playgroundRecordType {
		return "", "", fmt.Errorf("playground egress: a message has the type %q, want %s", v.Type, playgroundRecordType)
	}
	var record struct {
		Topic   *string `json:"topic"`
		Payload *string `json:"payload"`
	}
	if err := json.Unmarshal(v.Data, &record); err != nil {
		return "", "", fmt.Errorf("playground egress: %s: %w", playgroundRecordType, err)
	}
	if record.Topic == nil || record.Payload == nil {
		return "", "", fmt.Errorf("playground egress: %s needs a topic and a payload", playgroundRecordType)
	}
	return *record.Topic, *record.Payload, nil
}

// UnwrapEgress turns a Kafka or Kinesis record into a plain message: its
// bytes, its key, its topic or stream, and no type. Other messages are
// returned as they are.
func UnwrapEgress(m actor.EgressMessage) (actor.EgressMessage, error) {
	switch {
	case m.Value.Type == kafkaRecordType, strings.HasSuffix(m.Value.Type, kafkaRecord2):
		var record egress.KafkaProducerRecord
		if err := unmarshalRecord(m, &record); err != nil {
			return m, err
		}
		return unwrapped(m, record.GetKey(), record.GetTopic(), record.GetValueBytes()), nil
	case m.Value.Type == kinesisRecordType, strings.HasSuffix(m.Value.Type, kinesisRecord2):
		var record egress.KinesisEgressRecord
		if err := unmarshalRecord(m, &record); err != nil {
			return m, err
		}
		return unwrapped(m, record.GetPartitionKey(), record.GetStream(), record.GetValueBytes()), nil
	}
	return m, nil
}

func unmarshalRecord(m actor.EgressMessage, record proto.Message) error {
	err := proto.Unmarshal(m.Value.Data, record)
	if err == nil && len(record.ProtoReflect().GetUnknown()) > 0 {
		err = errors.New("it has unknown fields")
	}
	if err != nil {
		return fmt.Errorf("egress %s: the message is no %s: %w", m.ID, record.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

func unwrapped(m actor.EgressMessage, key, topic string, data []byte) actor.EgressMessage {
	return actor.EgressMessage{ID: m.ID, Key: key, Topic: topic, Value: actor.Value{Data: data}}
}
