package module

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
)

// KafkaIngress is a component that reads Kafka topics.
type KafkaIngress struct {
	Pos           Pos
	ID            actor.TypeName
	Address       string // bootstrap servers
	ConsumerGroup string
	Topics        []Topic
	Start         KafkaStart
	OffsetReset   OffsetReset
	Properties    []Property
}

// Topic is a Kafka topic or a Kinesis stream, and who gets its records. One
// without targets is for routers.
type Topic struct {
	Name      string
	ValueType string
	Targets   []actor.TypeName
}

// Property is a setting of a client library.
type Property struct{ Name, Value string }

// OffsetReset says where to read when there is no offset.
type OffsetReset uint8

const (
	// ResetLatest reads what comes from then on, the default.
	ResetLatest OffsetReset = iota
	// ResetEarliest reads all there is.
	ResetEarliest
)

// StartKind says where an ingress begins to read at its first start.
type StartKind uint8

const (
	// StartLatest begins with what comes from then on, the default.
	StartLatest StartKind = iota
	// StartEarliest begins with the oldest record.
	StartEarliest
	// StartGroupOffsets begins where the consumer group was.
	StartGroupOffsets
	// StartOffsets begins at given offsets.
	StartOffsets
	// StartDate begins at a time.
	StartDate
)

// KafkaStart is where a Kafka ingress begins.
type KafkaStart struct {
	Kind    StartKind
	Offsets []KafkaOffset
	Date    time.Time
}

// KafkaOffset is a place in a partition of a topic.
type KafkaOffset struct {
	Topic     string
	Partition int
	Offset    int64
}

// KafkaEgress is a component that writes to Kafka topics.
type KafkaEgress struct {
	Pos        Pos
	ID         actor.TypeName
	Address    string
	Delivery   Delivery
	Properties []Property
}

// DeliveryKind says how records are written.
type DeliveryKind uint8

const (
	// DeliverAtLeastOnce may write a record again after a failure, the default.
	DeliverAtLeastOnce DeliveryKind = iota
	// DeliverExactlyOnce writes in transactions.
	DeliverExactlyOnce
	// DeliverNone may lose records and write them again.
	DeliverNone
)

// Delivery is a DeliveryKind and its setting.
type Delivery struct {
	Kind               DeliveryKind
	TransactionTimeout time.Duration // of DeliverExactlyOnce
}

const (
	propertyServers = "bootstrap.servers"
	propertyGroup   = "group.id"
)

func kafkaIngress(l *loader, d declared) mapping {
	in := &KafkaIngress{Pos: d.pos, ID: d.id}
	topics := list[Topic]{into: &in.Topics, least: 1, name: nameOfTopic, item: func(t *Topic) value {
		return mapping{keys: []key{
			required("topic", text(&t.Name), "The topic."),
			required("valueType", l.valueType(&t.ValueType), "The type of its values, `ns/name`."),
			required("targets", l.targets(&t.Targets), "Function types; each gets every record, with the record's key as its id."),
		}}
	}}
	return l.kafkaReader(in, d, required("topics", topics, "What to read."))
}

// kafkaIngress2 is that of formats 1.0 and 2.0.
func kafkaIngress2(l *loader, d declared) mapping {
	in := &KafkaIngress{Pos: d.pos, ID: d.id}
	topics := list[Topic]{into: &in.Topics, least: 1, name: nameOfTopic, item: func(t *Topic) value {
		return mapping{keys: []key{
			required("topic", text(&t.Name), "The topic."),
			required("typeUrl", text(&t.ValueType), "The type of its values, such as `type.googleapis.com/com.example.Order`."),
			required("targets", l.targets(&t.Targets), "Function types; each gets every record, with the record's key as its id."),
		}}
	}}
	return l.kafkaReader(in, d, required("topics", topics, "What to read."))
}

// kafkaProtobufIngress is one whose records are messages that routers look
// into.
func kafkaProtobufIngress(l *loader, d declared) mapping {
	in := &KafkaIngress{Pos: d.pos, ID: d.id}
	topics := list[Topic]{into: &in.Topics, least: 1, name: nameOfTopic, item: func(t *Topic) value { return text(&t.Name) }}
	r := &messageRef{}
	m := l.kafkaReader(in, d, required("topics", topics, "What to read."))
	m.keys = append(m.keys, r.keys()...)
	finish := m.finish
	m.finish = func(o *object) {
		valueType := l.messageType(o, r)
		for i := range in.Topics {
			in.Topics[i].ValueType = valueType
		}
		l.unrouted = append(l.unrouted, unrouted{in.ID, in.Pos})
		finish(o)
	}
	return m
}

func nameOfTopic(t Topic) string { return fmt.Sprintf("topic %q", t.Name) }

// kafkaReader is a Kafka ingress with the topics of its format.
func (l *loader) kafkaReader(in *KafkaIngress, d declared, topics key) mapping {
	keys := d.idKey(l.typeName(&in.ID), "Its name, `ns/name`.")
	keys = append(keys,
		defaults("address", text(&in.Address), "required", "Kafka's servers, `host:port,…`; may be the property `bootstrap.servers` instead."),
		topics,
		defaults("consumerGroupId", text(&in.ConsumerGroup), "required", "The consumer group; may be the property `group.id` instead."),
		optional("autoOffsetResetPosition", choiceAnyCase(&in.OffsetReset, "latest",
			word[OffsetReset]{"latest", ResetLatest}, word[OffsetReset]{"earliest", ResetEarliest}), "Where to read where there is no offset."),
		defaults("startupPosition", kafkaStart(&in.Start), "`type: latest`", "Where to begin at the first start."),
		optional("properties", properties{&in.Properties}, "Settings of Kafka's client, a list of `name: value`. The keys above win."),
	)
	return mapping{keys: keys, finish: func(o *object) {
		n, path := d.place(o)
		l.identify(n, path, "ingress ", in.ID)
		in.Address = l.orProperty(o, "address", in.Address, in.Properties, propertyServers)
		in.ConsumerGroup = l.orProperty(o, "consumerGroupId", in.ConsumerGroup, in.Properties, propertyGroup)
		l.module.KafkaIngresses = append(l.module.KafkaIngresses, *in)
	}}
}

func kafkaStart(s *KafkaStart) value {
	chosen := func(kind StartKind) func() { return func() { *s = KafkaStart{Kind: kind} } }
	return variants{tag: "type", fallback: "", cases: []variant{
		{word: "latest", doc: "What comes from then on.", chosen: chosen(StartLatest)},
		{word: "earliest", doc: "All there is.", chosen: chosen(StartEarliest)},
		{word: "group-offsets", doc: "Where the consumer group was.", chosen: chosen(StartGroupOffsets)},
		{
			word: "specific-offsets", doc: "Given offsets.", chosen: chosen(StartOffsets),
			keys: []key{required("offsets", offsets{&s.Offsets}, "A list of `topic/partition: offset`.")},
		},
		{
			word: "date", doc: "A time.", chosen: chosen(StartDate),
			keys: []key{required("date", date(&s.Date), "Such as `2026-02-01 04:15:00.000 +0000`.")},
		},
	}}
}

// dateLayout is yyyy-MM-dd HH:mm:ss.SSS Z.
const dateLayout = "2006-01-02 15:04:05.000 -0700"

func date(into *time.Time) value {
	return scalar[time.Time]{
		into: into, form: Schema{Type: typeText, Pattern: `^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3} [+-]\d{4}$`},
		parse: func(l *loader, n *yaml.Node, path string) (time.Time, bool) {
			s := l.text(n, path)
			if s == "" {
				return time.Time{}, false
			}
			t, err := time.Parse(dateLayout, s)
			if err != nil {
				l.errorf(n, path, "such as 2026-02-01 04:15:00.000 +0000", "%q is no date of the form yyyy-MM-dd HH:mm:ss.SSS Z", s)
			}
			return t, err == nil
		},
	}
}

func kafkaEgress(l *loader, d declared) mapping {
	e := &KafkaEgress{Pos: d.pos, ID: d.id}
	keys := d.idKey(l.typeName(&e.ID), "Its name, `ns/name`.")
	keys = append(keys,
		defaults("address", text(&e.Address), "required", "Kafka's servers, `host:port,…`; may be the property `bootstrap.servers` instead."),
		defaults("deliverySemantic", delivery(&e.Delivery), "`type: at-least-once`", "How records are written."),
		optional("properties", properties{&e.Properties}, "Settings of Kafka's client, a list of `name: value`. The keys above win."),
	)
	return mapping{keys: keys, finish: func(o *object) {
		n, path := d.place(o)
		l.identify(n, path, "egress ", e.ID)
		e.Address = l.orProperty(o, "address", e.Address, e.Properties, propertyServers)
		l.module.KafkaEgresses = append(l.module.KafkaEgresses, *e)
	}}
}

func delivery(d *Delivery) value {
	return variants{tag: "type", cases: []variant{
		{word: "at-least-once", doc: "A record may be written again after a failure.", chosen: func() { *d = Delivery{} }},
		{
			word: "exactly-once", doc: "Records are written in transactions.", chosen: func() { *d = Delivery{Kind: DeliverExactlyOnce} },
			keys: exactlyOnce(d), finish: func(o *object) {
				if o.value("transactionTimeout") == nil && o.value("transactionTimeoutMillis") == nil {
					o.missing("transactionTimeout")
				}
			},
		},
		{word: "none", doc: "Records may be lost or written again.", chosen: func() { *d = Delivery{Kind: DeliverNone} }},
	}}
}

func exactlyOnce(d *Delivery) []key {
	var old time.Duration
	return []key{
		defaults("transactionTimeout", positive(&d.TransactionTimeout, 0), "required", "How long a transaction may last; not above the brokers' limit."),
		optional("transactionTimeoutMillis", overriding{millis(&old), func() { d.TransactionTimeout = old }},
			"The older form of it, a number of milliseconds; wins if both are there."),
	}
}

// overriding is a value with something to do when it was read.
type overriding struct {
	value

	then func()
}

func (v overriding) read(l *loader, n *yaml.Node, path string) {
	v.value.read(l, n, path)
	v.then()
}

// identify notes the id of an ingress or egress, which may occur once.
func (l *loader) identify(n *yaml.Node, path, what string, id actor.TypeName) {
	if !id.IsZero() {
		l.once(n, path, what+id.String())
	}
}

// orProperty is what key says, or else the property that stands for it.
func (l *loader) orProperty(o *object, key, said string, all []Property, name string) string {
	if o.value(key) != nil {
		return said
	}
	for _, p := range all {
		if p.Name == name && p.Value != "" {
			said = p.Value
		}
	}
	if said == "" {
		l.errorf(o.node, o.at(key), "or give the property "+name, "the key is missing")
	}
	return said
}

// properties is a list of mappings with one key each.
type properties struct{ into *[]Property }

func (p properties) read(l *loader, n *yaml.Node, path string) {
	*p.into = nil
	l.pairs(n, path, "- name: value", func(key, value *yaml.Node, at string) {
		if value.Kind != yaml.ScalarNode || value.Tag == nullTag {
			l.errorf(value, at, "", "must be text or a number, is %s", describe(value))
			return
		}
		if secretName.MatchString(key.Value) {
			l.conceal(value.Line, value.Value)
		}
		*p.into = append(*p.into, Property{Name: key.Value, Value: value.Value})
	})
}

func (p properties) absent() { *p.into = nil }

func (properties) schema() *Schema {
	return pairSchema(&Schema{AnyOf: []*Schema{{Type: typeText}, {Type: "number"}, {Type: "boolean"}}})
}

func pairSchema(more *Schema) *Schema {
	return &Schema{Type: typeList, Items: &Schema{Type: typeObject, MinKeys: 1, MaxKeys: 1, More: more}}
}

// pairs reads a list of mappings with one key each.
func (l *loader) pairs(n *yaml.Node, path, form string, each func(key, value *yaml.Node, at string)) {
	hint := "write it as a list of " + form
	if n.Kind != yaml.SequenceNode {
		l.errorf(n, path, hint, "must be a list, is %s", describe(n))
		return
	}
	for i, c := range n.Content {
		c, at := deref(c), fmt.Sprintf("%s[%d]", path, i)
		if c.Kind != yaml.MappingNode || len(c.Content) != 2 || deref(c.Content[0]).Kind != yaml.ScalarNode {
			l.errorf(c, at, hint, "must be a mapping of one key, is %s", describe(c))
			continue
		}
		key, value := deref(c.Content[0]), deref(c.Content[1])
		if !l.broken[value] {
			each(key, value, join(at, key.Value))
		}
	}
}

// offsets is a list of topic/partition: offset.
type offsets struct{ into *[]KafkaOffset }

func (f offsets) read(l *loader, n *yaml.Node, path string) {
	*f.into = nil
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		l.errorf(n, path, "", "must have at least one item")
	}
	l.pairs(n, path, "- topic/partition: offset", func(key, value *yaml.Node, at string) {
		topic, digits, ok := cutLast(key.Value)
		p, err := strconv.ParseInt(digits, 10, 32)
		if !ok || err != nil || p < 0 {
			l.errorf(key, at, "such as orders/0: 42", "%q is not of the form topic/partition", key.Value)
			return
		}
		if offset, ok := l.integer(value, at, 0, math.MaxInt64); ok {
			*f.into = append(*f.into, KafkaOffset{Topic: topic, Partition: int(p), Offset: offset})
		}
	})
}

func (f offsets) absent() { *f.into = nil }

func (offsets) schema() *Schema {
	s := pairSchema(orVariable(&Schema{Type: typeInteger, Minimum: new(0)}))
	s.MinItems = 1
	return s
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
