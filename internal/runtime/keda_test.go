package runtime_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/sdk"
)

// scaledObject is KEDA's, as far as the test needs it.
type scaledObject struct {
	Spec struct {
		Triggers []struct {
			Type     string
			Metadata map[string]string
		}
	}
}

// jetStreamTrigger reads the manifest: its trigger, and the filter that a
// comment names.
func jetStreamTrigger(t *testing.T) (metadata map[string]string, filter string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kubernetes", "keda-nats-jetstream.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest scaledObject
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if list := manifest.Spec.Triggers; len(list) != 1 || list[0].Type != "nats-jetstream" {
		t.Fatalf("the manifest has the triggers %+v", list)
	}
	found := regexp.MustCompile(`with the filter (\S+)`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the manifest doesn't say which filter the consumer has")
	}
	return manifest.Spec.Triggers[0].Metadata, string(found[1])
}

// jsz is what KEDA reads of the monitoring port's answer.
type jsz struct {
	Accounts []struct {
		Name    string
		Streams []struct {
			Name      string
			Consumers []struct {
				Name    string
				Pending int `json:"num_pending"`
				Unacked int `json:"num_ack_pending"`
			} `json:"consumer_detail"`
		} `json:"stream_detail"`
	} `json:"account_details"`
}

// lag is what KEDA scales by; false if the consumer isn't there.
func (z *jsz) lag(account, stream, consumer string) (int, bool) {
	for _, a := range z.Accounts {
		for _, s := range a.Streams {
			for _, c := range s.Consumers {
				if a.Name == account && s.Name == stream && c.Name == consumer {
					return c.Pending + c.Unacked, true
				}
			}
		}
	}
	return 0, false
}

// TestKEDAFindsWhatItsManifestNames asks as KEDA does, at a server with a
// monitoring port, for what deploy/kubernetes names.
func TestKEDAFindsWhatItsManifestNames(t *testing.T) {
	t.Parallel()
	trigger, filter := jetStreamTrigger(t)
	known := []string{"account", "activationLagThreshold", "consumer", "lagThreshold", "natsServerMonitoringEndpoint", "stream", "useHttps"}
	for key := range trigger {
		if !slices.Contains(known, key) {
			t.Errorf("KEDA's trigger has no parameter %s", key)
		}
	}
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, HTTPHost: "127.0.0.1", HTTPPort: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(patience) {
		t.Fatal("NATS server is not ready")
	}
	lag := func() (int, bool) {
		t.Helper()
		status, body := try(t, http.MethodGet, "http://"+srv.MonitorAddr().String()+"/jsz?acc="+trigger["account"]+"&consumers=true&config=true")
		var z jsz
		if err := json.Unmarshal([]byte(body), &z); err != nil || status != http.StatusOK {
			t.Fatalf("/jsz = %d %s", status, body)
		}
		return z.lag(trigger["account"], trigger["stream"], trigger["consumer"])
	}

	url := handler(t, &atomic.Pointer[string]{}, sdk.Function{Type: "shop/buy", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		ctx.Egress(sdk.ToNATS("shop/orders", ctx.Self().ID, []byte("one")))
		return nil
	}})
	w := start(t, runtime.Config{
		NATSURLs: []string{srv.ClientURL()},
		Module:   parse(t, endpoint("shop/buy", url)+"---\nkind: io.jetfn.nats.v1/egress\nspec: {id: shop/orders}\n"),
	})
	js, err := jetstream.New(dial(t, srv.ClientURL()))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := lag(); ok {
		t.Fatalf("there is a consumer %s with %d messages before anybody has made it", trigger["consumer"], n)
	}
	reader, err := js.CreateConsumer(t.Context(), trigger["stream"], jetstream.ConsumerConfig{Durable: trigger["consumer"], FilterSubject: filter})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		w.send("shop/buy/" + itoa(n))
	}
	eventually(t, "KEDA sees 20 orders that wait", func() bool { n, ok := lag(); return ok && n == 20 })
	batch, err := reader.Fetch(20)
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "KEDA sees none", func() bool { n, ok := lag(); return ok && n == 0 })
}
