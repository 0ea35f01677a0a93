package module

import (
	"fmt"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// KinesisIngress is a component that reads Kinesis streams.
type KinesisIngress struct {
	Pos         Pos
	ID          actor.TypeName
	Region      AWSRegion
	Credentials AWSCredentials
	Start       StartKind // StartLatest, StartEarliest or StartDate
	Date        time.Time // of StartDate
	Streams     []Topic
	Client      []Property
}

// KinesisEgress is a component that writes to Kinesis streams.
type KinesisEgress struct {
	Pos            Pos
	ID             actor.TypeName
	Region         AWSRegion
	Credentials    AWSCredentials
	MaxOutstanding int
	Client         []Property
}

// AWSRegion is where the streams are. The zero value is what the machine's
// settings say.
type AWSRegion struct {
	ID       string
	Endpoint string // empty: AWS's own
}

// AWSCredentials are how to sign in. The zero value is AWS's default chain.
type AWSCredentials struct {
	AccessKeyID, SecretAccessKey string
	ProfileName, ProfilePath     string
}

func kinesisIngress(l *loader, d declared) mapping {
	return l.kinesisReader(d, func(t *Topic) key {
		return required("valueType", l.valueType(&t.ValueType), "The type of its values, `ns/name`.")
	})
}

// kinesisIngress2 is that of formats 1.0 and 2.0.
func kinesisIngress2(l *loader, d declared) mapping {
	return l.kinesisReader(d, func(t *Topic) key {
		return required("typeUrl", text(&t.ValueType), "The type of its values, such as `type.googleapis.com/com.example.Order`.")
	})
}

func (l *loader) kinesisReader(d declared, valueType func(*Topic) key) mapping {
	in := &KinesisIngress{Pos: d.pos, ID: d.id}
	streams := list[Topic]{into: &in.Streams, least: 1, name: func(t Topic) string { return fmt.Sprintf("stream %q", t.Name) }, item: func(t *Topic) value {
		return mapping{keys: []key{
			required("stream", text(&t.Name), "The stream."),
			valueType(t),
			required("targets", l.targets(&t.Targets), "Function types; each gets every record, with the partition key as its id."),
		}}
	}}
	keys := d.idKey(l.typeName(&in.ID), "Its name, `ns/name`.")
	keys = append(keys, required("streams", streams, "What to read."))
	keys = append(keys, awsKeys(&in.Region, &in.Credentials)...)
	keys = append(keys, defaults("startupPosition", kinesisStart(in), "`type: latest`", "Where to begin at the first start."), clientKey(&in.Client))
	return mapping{keys: keys, finish: func(o *object) {
		n, path := d.place(o)
		l.identify(n, path, "ingress ", in.ID)
		l.module.KinesisIngresses = append(l.module.KinesisIngresses, *in)
	}}
}

func kinesisEgress(l *loader, d declared) mapping {
	e := &KinesisEgress{Pos: d.pos, ID: d.id}
	keys := d.idKey(l.typeName(&e.ID), "Its name, `ns/name`.")
	keys = append(keys, awsKeys(&e.Region, &e.Credentials)...)
	keys = append(keys,
		optional("maxOutstandingRecords", integer(&e.MaxOutstanding, 1000, 1), "Records on their way before functions have to wait."),
		clientKey(&e.Client))
	return mapping{keys: keys, finish: func(o *object) {
		n, path := d.place(o)
		l.identify(n, path, "egress ", e.ID)
		l.module.KinesisEgresses = append(l.module.KinesisEgresses, *e)
	}}
}

func clientKey(into *[]Property) key {
	return optional("clientConfigProperties", properties{into}, "Settings of the AWS client, a list of `name: value`.")
}

func awsKeys(region *AWSRegion, credentials *AWSCredentials) []key {
	return []key{
		defaults("awsRegion", variants{tag: "type", cases: []variant{
			{word: "default", doc: "What the machine's settings say.", chosen: func() { *region = AWSRegion{} }},
			{
				word: "specific", doc: "A region.",
				keys: []key{required("id", text(&region.ID), "Such as `us-west-2`.")},
			},
			{
				word: "custom-endpoint", doc: "A service that speaks the same protocol.",
				keys: []key{
					required("endpoint", text(&region.Endpoint), "Its URL."),
					required("id", text(&region.ID), "The region that it takes itself for."),
				},
			},
		}}, "`type: default`", "Where the streams are."),
		defaults("awsCredentials", variants{tag: "type", cases: []variant{
			{word: "default", doc: "AWS's default chain.", chosen: func() { *credentials = AWSCredentials{} }},
			{
				word: "basic", doc: "A pair of keys; better not written here but as `${NAME}`.",
				keys: []key{
					required("accessKeyId", secret(&credentials.AccessKeyID), "The access key."),
					required("secretAccessKey", secret(&credentials.SecretAccessKey), "The secret."),
				},
			},
			{
				word: "profile", doc: "A profile of AWS's configuration files.",
				keys: []key{
					required("profileName", text(&credentials.ProfileName), "Its name."),
					defaults("profilePath", text(&credentials.ProfilePath), "AWS's own place", "The file it is in."),
				},
			},
		}}, "`type: default`", "How to sign in."),
	}
}

func kinesisStart(in *KinesisIngress) value {
	chosen := func(kind StartKind) func() { return func() { in.Start, in.Date = kind, time.Time{} } }
	return variants{tag: "type", cases: []variant{
		{word: "latest", doc: "What comes from then on.", chosen: chosen(StartLatest)},
		{word: "earliest", doc: "All there is.", chosen: chosen(StartEarliest)},
		{
			word: "date", doc: "A time.", chosen: chosen(StartDate),
			keys: []key{required("date", date(&in.Date), "Such as `2026-02-01 04:15:00.000 +0000`.")},
		},
	}}
}
