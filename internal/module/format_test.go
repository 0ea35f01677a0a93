package module_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/protoroute"
)

var (
	ignorePlaces = cmpopts.IgnoreTypes(module.Pos{})
	ignoreRoutes = cmpopts.IgnoreTypes(&protoroute.Route{})
)

func load(t *testing.T, name string) *module.Module {
	t.Helper()
	m, found := module.Load([]string{filepath.Join("testdata", name)}, module.Options{Strict: true, Lookup: variables(nil)})
	if len(found.Errors()) > 0 {
		t.Fatalf("Load reported\n%v", found)
	}
	return m
}

func function(ns, name string) actor.TypeName { return actor.TypeName{Namespace: ns, Name: name} }

func exactly(ns, name string) module.Pattern { return module.Pattern{Namespace: ns, Name: name} }

// okHTTP is the transport of StateFun 2.2 and of endpoints.v1.
func okHTTP(change func(*module.Transport)) module.Transport {
	t := module.Transport{
		Kind: module.TransportOkHTTP, Call: time.Minute, Connect: 10 * time.Second, Read: 10 * time.Second, Write: 10 * time.Second,
		PoolSize: 1024, PoolTTL: time.Minute, MaxBytes: 32 << 20,
	}
	if change != nil {
		change(&t)
	}
	return t
}

func TestFormat1Loads(t *testing.T) {
	t.Parallel()
	m := load(t, "format-1.0.yaml")
	want := &module.Module{
		Endpoints: []module.Endpoint{
			{
				Functions: exactly("shop", "order"), URLTemplate: "http://orders:8000/statefun", MaxBatch: 500,
				Protocol: module.ProtocolV2, States: []module.State{{Name: "total"}, {Name: "customer"}},
				Transport: okHTTP(func(t *module.Transport) { t.Call = 2 * time.Minute }),
				Failure:   module.Failure{Budget: 2 * time.Minute},
			},
			{
				Functions: exactly("com.example/nested", "stock"), URLTemplate: "http+unix:///run/stock.sock/statefun", MaxBatch: 1000,
				MaxConcurrent: 1, Protocol: module.ProtocolV2, Transport: okHTTP(nil), Failure: module.Failure{Budget: time.Minute},
			},
		},
		Routers: []module.Router{{Ingress: function("shop", "raw-orders"), ValueType: "type.googleapis.com/shop.Order"}},
		KafkaIngresses: []module.KafkaIngress{{
			ID: function("shop", "raw-orders"), Address: "kafka:9092", ConsumerGroup: "shop", Start: module.KafkaStart{Kind: module.StartEarliest},
			Topics: []module.Topic{{Name: "raw-orders", ValueType: "type.googleapis.com/shop.Order"}},
		}},
		KafkaEgresses: []module.KafkaEgress{{
			ID: function("shop", "receipts"), Address: "kafka:9092",
			Delivery: module.Delivery{Kind: module.DeliverExactlyOnce, TransactionTimeout: 100 * time.Second},
		}},
	}
	if diff := cmp.Diff(want, m, ignorePlaces, ignoreRoutes); diff != "" {
		t.Errorf("format 1.0 (-want +got):\n%s", diff)
	}
}

func TestFormat2Loads(t *testing.T) {
	t.Parallel()
	m := load(t, "format-2.0.yaml")
	want := &module.Module{
		Endpoints: []module.Endpoint{{
			Functions: exactly("shop", "order"), URLTemplate: "https://orders:8443/statefun", MaxBatch: 1000, Protocol: module.ProtocolV2,
			States: []module.State{
				{Name: "total", ExpireAfter: 5 * time.Minute},
				{Name: "customer", ExpireAfter: 24 * time.Hour, ExpireMode: module.ExpireAfterWrite},
				{Name: "notes"},
			},
			Transport: okHTTP(func(t *module.Transport) {
				t.Call, t.Connect, t.Read = 30*time.Second, time.Second, 20*time.Second
			}),
			Failure: module.Failure{Budget: 30 * time.Second},
		}},
		KafkaIngresses: []module.KafkaIngress{{
			ID: function("shop", "orders"), Address: "kafka:9092", ConsumerGroup: "shop", OffsetReset: module.ResetEarliest,
			Start: module.KafkaStart{Kind: module.StartOffsets, Offsets: []module.KafkaOffset{
				{Topic: "orders", Partition: 0, Offset: 91}, {Topic: "orders", Partition: 1, Offset: 8},
			}},
			Topics: []module.Topic{{
				Name: "orders", ValueType: "com.googleapis/shop.Order", Targets: []actor.TypeName{function("shop", "order")},
			}},
			Properties: []module.Property{{Name: "max.poll.records", Value: "100"}, {Name: "security.protocol", Value: "SASL_SSL"}},
		}},
		KafkaEgresses: []module.KafkaEgress{{ID: function("shop", "receipts"), Address: "kafka:9092"}},
		KinesisIngresses: []module.KinesisIngress{{
			ID: function("shop", "returns"), Region: module.AWSRegion{ID: "us-west-2"},
			Credentials: module.AWSCredentials{AccessKeyID: "key", SecretAccessKey: "secret"},
			Start:       module.StartDate, Date: time.Date(2026, 2, 1, 4, 15, 0, 0, time.UTC),
			Streams: []module.Topic{{
				Name: "returns", ValueType: "type.googleapis.com/shop.Order", Targets: []actor.TypeName{function("shop", "order")},
			}},
			Client: []module.Property{{Name: "SocketTimeout", Value: "9999"}},
		}},
		KinesisEgresses: []module.KinesisEgress{{
			ID: function("shop", "labels"), Region: module.AWSRegion{ID: "us-west-1", Endpoint: "https://localhost:4567"},
			Credentials: module.AWSCredentials{ProfileName: "shop", ProfilePath: "/etc/aws"}, MaxOutstanding: 9,
		}},
	}
	if diff := cmp.Diff(want, m, ignorePlaces); diff != "" {
		t.Errorf("format 2.0 (-want +got):\n%s", diff)
	}
}

func TestFormat3Loads(t *testing.T) {
	t.Parallel()
	m := load(t, "format-3.0.yaml")
	want := &module.Module{
		Endpoints: []module.Endpoint{
			{
				Functions: module.Pattern{Namespace: "shop"}, URLTemplate: "http://functions:8000/{function.name}", MaxBatch: 10_000,
				Transport: okHTTP(func(t *module.Transport) { t.Read = 15 * time.Second }), Failure: module.Failure{Budget: time.Minute},
			},
			{
				Functions: exactly("billing", "invoice"), URLTemplate: "http://billing:8000/", MaxBatch: 1000,
				Transport: module.Transport{
					Call: 5 * time.Minute, Connect: 20 * time.Second, PoolSize: 1024, PoolTTL: 15 * time.Second, MaxBytes: 32 << 20,
				},
				Failure: module.Failure{Budget: 5 * time.Minute},
			},
		},
		Routers: []module.Router{{Ingress: function("shop", "raw-orders"), ValueType: "type.googleapis.com/shop.Order"}},
		KafkaIngresses: []module.KafkaIngress{
			{
				ID: function("shop", "orders"), Address: "kafka:9092", ConsumerGroup: "shop", Start: module.KafkaStart{Kind: module.StartGroupOffsets},
				Topics: []module.Topic{{
					Name: "orders", ValueType: "shop/Order",
					Targets: []actor.TypeName{function("shop", "order"), function("billing", "invoice")},
				}},
			},
			{
				ID: function("shop", "raw-orders"), Address: "kafka:9092", ConsumerGroup: "shop",
				Topics: []module.Topic{{Name: "raw-orders", ValueType: "type.googleapis.com/shop.Order"}},
			},
		},
		KafkaEgresses: []module.KafkaEgress{{
			ID: function("shop", "receipts"), Address: "kafka:9092",
			Delivery: module.Delivery{Kind: module.DeliverExactlyOnce, TransactionTimeout: 15 * time.Minute},
		}},
	}
	if diff := cmp.Diff(want, m, ignorePlaces, ignoreRoutes); diff != "" {
		t.Errorf("format 3.0 (-want +got):\n%s", diff)
	}
	got, err := m.Routers[0].Route.Address(encode(t, map[string]string{"customer": `{"number":"7"}`, "items": `[{"product":"pen"}]`, "channel": `"DESK"`}))
	if want := (actor.Address{Type: function("shop", "DESK"), ID: "7-pen"}); err != nil || got != want {
		t.Errorf("route of an order = %v, %v, want %v", got, err, want)
	}
}

func TestTheOtherKindsLoad(t *testing.T) {
	t.Parallel()
	m := load(t, "kinds.yaml")
	if got, want := m.Endpoints[0].Transport.TLS, (module.TLS{
		TrustCACerts: filepath.Join("testdata", "ca.pem"), ClientCert: filepath.Join("testdata", "client.pem"),
		ClientKey: "/etc/shop/client.key", ClientKeyPassword: "/run/secrets/password",
	}); got != want {
		t.Errorf("certificates = %+v, want %+v", got, want)
	}
	if got, want := m.Endpoints[3].Transport, okHTTP(func(t *module.Transport) { t.Call = 20 * time.Second }); got != want {
		t.Errorf("transport of endpoints.v1 = %+v, want %+v", got, want)
	}
	events := module.KafkaIngress{
		ID: function("shop", "events"), Address: "kafka-1:9092,kafka-2:9092", ConsumerGroup: "events",
		Topics:     []module.Topic{{Name: "events", ValueType: "shop/Event", Targets: []actor.TypeName{function("shop", "event")}}},
		Properties: []module.Property{{Name: "bootstrap.servers", Value: "kafka-1:9092,kafka-2:9092"}, {Name: "group.id", Value: "events"}},
	}
	if diff := cmp.Diff(events, m.KafkaIngresses[1], ignorePlaces); diff != "" {
		t.Errorf("an ingress by properties (-want +got):\n%s", diff)
	}
	if got := m.KafkaIngresses[0].Start; got.Kind != module.StartDate || !got.Date.Equal(time.Date(2026, 2, 1, 3, 15, 0, 0, time.UTC)) {
		t.Errorf("start = %+v, want the date", got)
	}
	if got := m.KafkaEgresses[1]; got.Address != "kafka:9092" || got.Delivery.Kind != module.DeliverNone {
		t.Errorf("egress by properties = %+v", got)
	}
	if got := m.KinesisIngresses[0]; got.Start != module.StartEarliest || len(got.Streams) != 1 {
		t.Errorf("Kinesis ingress = %+v", got)
	}
	if got := m.KinesisEgresses[0]; got.MaxOutstanding != 1000 || got.Region.ID != "eu-central-1" {
		t.Errorf("Kinesis egress = %+v", got)
	}
	foreign := module.Ingress{
		ID: function("shop", "legacy"), Targets: []actor.TypeName{function("shop", "visitor")},
		Stream: "LEGACY", Subject: "legacy.visits.*", Consumer: "shop",
	}
	if diff := cmp.Diff(foreign, m.Ingresses[1], ignorePlaces); diff != "" {
		t.Errorf("an existing stream (-want +got):\n%s", diff)
	}
}

func TestTheDescriptorSetIsThatOfItsSource(t *testing.T) {
	t.Parallel()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{"testdata"}})}
	files, err := compiler.Compile(t.Context(), "order.proto")
	if err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	imports := files[0].Imports()
	for i := range imports.Len() {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(imports.Get(i).FileDescriptor))
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(protoreflect.FileDescriptor(files[0])))
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "order.desc"), want)
}

// golden compares with a file, or writes it where UPDATE is set.
func golden(t *testing.T, file string, want []byte) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date; run UPDATE=1 go test ./internal/module", file)
	}
}
