package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func wantOpenError(t *testing.T, js jetstream.JetStream, cfg broker.Config, want ...string) {
	t.Helper()
	app, err := broker.Open(t.Context(), js.Conn(), cfg)
	if err == nil {
		app.Close()
		t.Fatalf("Open(%+v) = nil error, want one with %q", cfg.App, want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Open = %v, want it to contain %q", err, w)
		}
	}
}

func TestNumberOfPartitionsIsFixedAtCreation(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	first := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 8})
	for _, again := range []int{0, 8} {
		app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: again})
		if app.Partitions() != 8 || app.Incarnation() != first.Incarnation() {
			t.Errorf("opened again with %d = %d partitions, incarnation %s, want 8, %s", again, app.Partitions(), app.Incarnation(), first.Incarnation())
		}
	}
	wantOpenError(t, js, broker.Config{App: "app", Partitions: 9}, "8 partitions", "9")
	other := brokertest.Open(t, js.Conn(), broker.Config{App: "app2"})
	if other.Partitions() != 64 || other.Incarnation() == first.Incarnation() {
		t.Errorf("another application = %d partitions, incarnation %s", other.Partitions(), other.Incarnation())
	}
}

func TestProcessesThatCreateAtTheSameTimeAgree(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	apps := make([]*broker.App, 8)
	var g errgroup.Group
	for i := range apps {
		g.Go(func() (err error) {
			apps[i], err = broker.Open(t.Context(), js.Conn(), broker.Config{App: "app"})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, app := range apps {
		app.Close()
		if app.Incarnation() != apps[0].Incarnation() {
			t.Errorf("incarnations %s and %s differ", app.Incarnation(), apps[0].Incarnation())
		}
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ record, want string }{
		"newer format": {`{"format":2,"partitions":8,"shards":1,"hash":"fnv1a-32/id","incarnation":"x"}`, "newer jetfn"},
		"other hash":   {`{"format":1,"partitions":8,"shards":1,"hash":"md5","incarnation":"x"}`, `"md5"`},
		"shards":       {`{"format":1,"partitions":8,"shards":2,"hash":"fnv1a-32/id","incarnation":"x"}`, "2 shards"},
		"damaged":      {`{"format":1`, "damaged"},
		"empty":        {`{"format":1,"shards":1,"hash":"fnv1a-32/id"}`, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.Start(t)
			brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
			kv, err := js.KeyValue(t.Context(), "app_meta")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := kv.PutString(t.Context(), "app", c.record); err != nil {
				t.Fatal(err)
			}
			wantOpenError(t, js, broker.Config{App: "app"}, c.want)
		})
	}
}

func TestOpenNamesAnOverlappingStream(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"app.fn.orders.>"}}); err != nil {
		t.Fatal(err)
	}
	wantOpenError(t, js, broker.Config{App: "app"}, "THEIRS", "app.fn.>", "APP_MAILBOX")
}

func TestOpenRefusesLimitsOnJournalAndMailbox(t *testing.T) {
	t.Parallel()
	for stream, change := range map[string]func(*jetstream.StreamConfig){
		"APP_JOURNAL": func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"APP_MAILBOX": func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
	} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			js := brokertest.Start(t)
			brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
			s, err := js.Stream(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			cfg := s.CachedInfo().Config
			change(&cfg)
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			wantOpenError(t, js, broker.Config{App: "app"}, stream, "max ", "nats stream edit")
		})
	}
}

func TestEgressSettingsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	brokertest.Open(t, js.Conn(), broker.Config{
		App: "app", EgressMaxAge: time.Hour, EgressMaxBytes: 1 << 20,
		EgressPrefix: map[actor.TypeName]string{
			{Namespace: "a", Name: "out"}: "orders.done", {Namespace: "b", Name: "*"}: "orders", {Namespace: "c", Name: "x"}: "app.egress.mine",
		},
	})
	s, err := js.Stream(t.Context(), "APP_EGRESS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if cfg.MaxAge != time.Hour || cfg.MaxBytes != 1<<20 {
		t.Errorf("egress limits = %v, %d, want 1h, 1 MiB", cfg.MaxAge, cfg.MaxBytes)
	}
	got := strings.Join(cfg.Subjects, " ")
	if want := "app.egress.> app.mark.egress.* orders.>"; got != want {
		t.Errorf("egress subjects = %s, want %s", got, want)
	}
	wantOpenError(t, js, broker.Config{App: "app", EgressPrefix: map[actor.TypeName]string{{Namespace: "a", Name: "b"}: "x.*"}}, `"x.*"`, "a/b")
}

func TestStreamsOfAnOlderVersionGetTheShortWindow(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	for _, name := range []string{"APP_EGRESS", "APP_DLQ"} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.Duplicates = 10 * time.Minute
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	for _, name := range []string{"APP_EGRESS", "APP_DLQ"} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().Config.Duplicates; got != 2*time.Second {
			t.Errorf("%s remembers ids for %v, want 2s", name, got)
		}
	}
}

func TestOpenRefusesBadNames(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	for _, name := range []string{"", "App", "a.b", "a b", "a*"} {
		wantOpenError(t, js, broker.Config{App: name}, "lower-case")
	}
	wantOpenError(t, js, broker.Config{App: "app", Partitions: -1}, "partitions")
}
