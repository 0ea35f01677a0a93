package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func revision(n uint64) *broker.ModuleRevision {
	return &broker.ModuleRevision{Number: n, Origin: "apply", Files: []broker.ModuleFile{{Name: "m.yaml", Text: strings.Repeat("#", int(n))}}}
}

func TestOfTwoModuleRevisionsOfOneNumberTheFirstCounts(t *testing.T) {
	t.Parallel()
	app := open(t)
	if newest, err := app.NewestModule(t.Context()); err != nil || newest.Number != 0 {
		t.Fatalf("NewestModule of a new application = %d, %v, want none", newest.Number, err)
	}
	if err := app.PutModule(t.Context(), revision(2)); !errors.Is(err, broker.ErrRevision) {
		t.Errorf("PutModule of revision 2 before 1 = %v, want ErrRevision", err)
	}
	for n := uint64(1); n <= 12; n++ {
		if err := app.PutModule(t.Context(), revision(n)); err != nil {
			t.Fatal(err)
		}
		if err := app.PutModule(t.Context(), revision(n)); !errors.Is(err, broker.ErrRevision) {
			t.Errorf("PutModule of revision %d once more = %v, want ErrRevision", n, err)
		}
	}
	if err := app.TrimModules(t.Context(), 3, []uint64{2}); err != nil {
		t.Fatal(err)
	}
	list, err := app.Modules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kept []uint64
	for _, r := range list {
		kept = append(kept, r.Number)
	}
	if diff := cmp.Diff([]uint64{12, 11, 10, 2}, kept); diff != "" {
		t.Errorf("revisions that are kept (-want +got):\n%s", diff)
	}
	if _, err := app.Module(t.Context(), 5); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("Module(5) after it was removed = %v, want ErrKeyNotFound", err)
	}
	if got, err := app.Module(t.Context(), 2); err != nil || !cmp.Equal(&got, revision(2)) {
		t.Errorf("Module(2) = %v, %v", got, err)
	}
}

func TestAWatcherOfTheModuleGetsTheNewestRevisionAndEachNewOne(t *testing.T) {
	t.Parallel()
	app := open(t)
	for n := uint64(1); n <= 11; n++ { // 9 sorts behind 10 as text
		if err := app.PutModule(t.Context(), revision(n)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan uint64, 16), make(chan error, 1)
	go func() {
		ended <- app.WatchModules(ctx, func(r broker.ModuleRevision) { seen <- r.Number })
	}()
	if got := <-seen; got != 11 {
		t.Errorf("the first revision seen is %d, want 11", got)
	}
	if err := app.PutModule(t.Context(), revision(12)); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != 12 {
		t.Errorf("the next revision seen is %d, want 12", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("WatchModules = %v, want nil", err)
	}
}

func TestAnOwnerThatWasFollowedDoesNotDecideHowRecordsAreRead(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 2})
	add := func(n uint64) broker.ChangeReadings {
		return func(now []broker.IngressReading, _, next uint64) []broker.IngressReading {
			return append(now, broker.IngressReading{From: next, Revision: n})
		}
	}
	first, claimed, err := app.ClaimReadings(t.Context(), "first", add(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "app.ingress.shop.orders.k", nil); err != nil {
			t.Fatal(err)
		}
	}
	second, _, err := app.ClaimReadings(t.Context(), "second", add(2))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]broker.IngressReading{{From: 1, Revision: 1}, {From: 4, Revision: 2}}, second); diff != "" {
		t.Errorf("readings after three records (-want +got):\n%s", diff)
	}
	if _, _, err := app.ReplaceReadings(t.Context(), "first", claimed, first, add(3)); !errors.Is(err, broker.ErrRevision) {
		t.Errorf("ReplaceReadings by an owner that was followed = %v, want ErrRevision", err)
	}
}

func TestEgressSubjectsAreAddedWhileTheApplicationRuns(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	old := map[actor.TypeName]string{{Namespace: "shop", Name: "out"}: "old.out"}
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 2, EgressPrefix: old})
	subjects := func() []string {
		stream, err := js.Stream(t.Context(), "APP_EGRESS")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config.Subjects
	}
	emit := emitter(t, js, app)
	if got := emit("a"); got != "old.out.a" {
		t.Errorf("a message lies on %s, want old.out.a", got)
	}
	next := map[actor.TypeName]string{{Namespace: "shop", Name: "out"}: "new.out"}
	if err := app.AddEgress(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"": "new.out", "b": "new.out.b"} {
		if got := emit(key); got != want {
			t.Errorf("a message behind the change lies on %s, want %s", got, want)
		}
	}
	want := []string{"app.egress.>", "app.mark.egress.*", "new.out", "new.out.>", "old.out", "old.out.>"}
	if diff := cmp.Diff(want, subjects()); diff != "" {
		t.Errorf("subjects of the egress stream (-want +got):\n%s", diff)
	}
	brokertest.Open(t, js.Conn(), broker.Config{App: "app"}) // such as a standby
	if diff := cmp.Diff(want, subjects()); diff != "" {
		t.Errorf("subjects after another worker came (-want +got):\n%s", diff)
	}
	if err := app.SettleEgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"app.egress.>", "app.mark.egress.*", "new.out", "new.out.>"}, subjects()); diff != "" {
		t.Errorf("subjects once nothing is on its way (-want +got):\n%s", diff)
	}
	if err := app.AddEgress(t.Context(), map[actor.TypeName]string{{Namespace: "a", Name: "b"}: "$SYS"}); err == nil {
		t.Error("AddEgress of a subject of the server's succeeded")
	}
}

func TestUsersOfTheEmbeddedServerCanNotChangeTheModule(t *testing.T) {
	t.Parallel()
	server := brokertest.StartServer(t, "app")
	brokertest.Open(t, brokertest.Connect(t, server), broker.Config{App: "app", Partitions: 2})
	denied := make(chan error, 10)
	nc := outsider(t, server, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	for _, key := range []string{"module.1", "readings"} {
		if _, err := nc.Request("$KV.app_meta."+key, []byte("{}"), 1e9); err == nil {
			t.Errorf("somebody from outside wrote the key %s", key)
		}
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("writing the key %s = %v, want a permissions violation", key, err)
			}
		case <-patiently(t).Done():
			t.Errorf("writing the key %s is not denied", key)
		}
	}
}

// emitter returns a function that stores a message to shop/out, with a key
// unless that is empty, and tells its subject.
func emitter(t *testing.T, js jetstream.JetStream, app *broker.App) func(key string) string {
	t.Helper()
	stream, err := js.Stream(t.Context(), "APP_EGRESS")
	if err != nil {
		t.Fatal(err)
	}
	sink := app.Ports(0).Egress
	answers := make(chan actor.WriteResult, 1)
	stored := func() uint64 {
		r := <-answers
		if r.Outcome != actor.Stored {
			t.Fatalf("outcome %+v", r)
		}
		return r.Seq
	}
	sink.Mark(nil, 0, func(r actor.WriteResult) { answers <- r })
	mark, count := stored(), uint64(0)
	return func(key string) string {
		count++
		sink.Publish(actor.SinkMessage{
			ID: actor.SinkID{Commit: count}, Source: address("ns", "fn", "id"),
			Egress: &actor.EgressMessage{ID: actor.TypeName{Namespace: "shop", Name: "out"}, Key: key},
		}, mark, func(r actor.WriteResult) { answers <- r })
		m, err := stream.GetMsg(t.Context(), stored())
		if err != nil {
			t.Fatal(err)
		}
		return m.Subject
	}
}
