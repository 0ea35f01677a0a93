package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// The namespaces in which topics and streams are ingresses and egresses.
const (
	onKafka   = "kafka"
	onKinesis = "kinesis"
)

// onNATS returns m with the topics of Kafka and the streams of Kinesis as
// ingresses kafka/<topic> and kinesis/<stream>, so that an application can be
// tried without them. What several components read goes to the targets of all.
//
// Records that functions write to a topic that is read too come back in,
// through an ingress of the egress stream.
func onNATS(m *module.Module, app string) (*module.Module, error) {
	out := *m
	out.KafkaIngresses, out.KinesisIngresses = nil, nil
	t := &topics{module: &out, taken: map[actor.TypeName]module.Pos{}, index: map[actor.TypeName]int{}}
	out.Ingresses = slices.Clone(m.Ingresses)
	for _, in := range m.Ingresses {
		t.taken[in.ID] = in.Pos
	}
	t.routers = map[actor.TypeName][]module.Router{}
	for _, r := range m.Routers {
		t.routers[r.Ingress] = append(t.routers[r.Ingress], r)
	}
	for _, in := range m.KafkaIngresses {
		for _, topic := range in.Topics {
			t.add(onKafka, topic, in.Pos, in.ID)
		}
	}
	for _, in := range m.KinesisIngresses {
		for _, stream := range in.Streams {
			t.add(onKinesis, stream, in.Pos, in.ID)
		}
	}
	t.loop(app)
	return &out, errors.Join(t.problems...)
}

// topics collects ingresses by topic.
type topics struct {
	module   *module.Module
	taken    map[actor.TypeName]module.Pos // what the module itself calls so
	index    map[actor.TypeName]int        // in module.Ingresses
	routers  map[actor.TypeName][]module.Router
	problems []error
}

func (t *topics) add(namespace string, topic module.Topic, pos module.Pos, ingress actor.TypeName) {
	id := actor.TypeName{Namespace: namespace, Name: topic.Name}
	if other, ok := t.taken[id]; ok {
		t.problems = append(t.problems, at(pos, fmt.Errorf("ingress %s: --nats-for-kafka would call its topic %s, as the ingress at %s is called",
			ingress, id, other)))
		return
	}
	i, ok := t.index[id]
	if !ok {
		t.index[id] = len(t.module.Ingresses)
		t.module.Ingresses = append(t.module.Ingresses, module.Ingress{
			Pos: pos, ID: id, ValueType: topic.ValueType, Targets: slices.Clone(topic.Targets), Routers: t.routers[ingress],
		})
		return
	}
	first := &t.module.Ingresses[i]
	if first.ValueType != topic.ValueType {
		t.problems = append(t.problems, at(pos, fmt.Errorf("ingress %s: with --nats-for-kafka all that read %s must give it one value type; this is %s, at %s it is %s",
			ingress, topic.Name, topic.ValueType, first.Pos, first.ValueType)))
		return
	}
	first.Routers = append(slices.Clip(first.Routers), t.routers[ingress]...)
	for _, target := range topic.Targets {
		if !slices.Contains(first.Targets, target) {
			first.Targets = append(first.Targets, target)
		}
	}
}

// loop reads what the application itself writes to the topics that it reads.
func (t *topics) loop(app string) {
	n := len(t.module.Ingresses)
	for _, in := range t.module.Ingresses[:n] {
		if _, ours := t.index[in.ID]; !ours || len(in.Targets) == 0 {
			continue
		}
		in.Stream, in.Subject = broker.KeyedEgress(app, in.ID)
		in.ID.Namespace += "-egress"
		in.Routers = nil // they see what comes from outside only
		if other, ok := t.taken[in.ID]; ok {
			t.problems = append(t.problems, at(other, fmt.Errorf("--nats-for-kafka needs the name %s", in.ID)))
			continue
		}
		t.module.Ingresses = append(t.module.Ingresses, in)
	}
}

// record is a sort of record that an egress takes and names a topic in.
type record struct {
	namespace string
	message   string // the end of its type
}

// recordEgresses are those of Kafka and Kinesis.
func recordEgresses(m *module.Module) map[actor.TypeName]record {
	out := map[actor.TypeName]record{}
	for _, x := range m.KafkaEgresses {
		out[x.ID] = record{onKafka, "KafkaProducerRecord"}
	}
	for _, x := range m.KinesisEgresses {
		out[x.ID] = record{onKinesis, "KinesisEgressRecord"}
	}
	return out
}

// admit returns a record as a message of the egress of its topic.
func (r record) admit(m actor.EgressMessage) (actor.EgressMessage, error) {
	if !strings.HasSuffix(m.Value.Type, "."+r.message) {
		return m, fmt.Errorf("egress %s takes a %s only, the message has the type %q", m.ID, r.message, m.Value.Type)
	}
	out, err := gateway.UnwrapEgress(m)
	if err != nil {
		return m, fmt.Errorf("egress %s: %w", m.ID, err)
	}
	if out.Topic == "" {
		return m, fmt.Errorf("egress %s: the %s names no topic or stream", m.ID, r.message)
	}
	out.ID = actor.TypeName{Namespace: r.namespace, Name: out.Topic}
	return out, nil
}
