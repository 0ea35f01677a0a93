package jetfn_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

// counting are functions that count in a table, and tell an egress.
func counting(t *testing.T) *sdk.Registry {
	t.Helper()
	words := sdk.NewTable("words", sdk.StringKey(), sdk.Int64())
	r, err := sdk.NewRegistry([]sdk.Function{{
		Type: "example/*", States: []sdk.State{words},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, word string) error {
			n := words.Get(ctx, word) + 1
			words.Set(ctx, word, n)
			ctx.Egress(sdk.ToNATS("example/counts", ctx.Self().ID, fmt.Appendf(nil, "%s=%d", word, n)))
			return nil
		})),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// start runs an application until the function it returns is called.
func start(t *testing.T, opts ...jetfn.Option) (at jetfn.Addresses, stop func()) {
	t.Helper()
	ready := make(chan jetfn.Addresses, 1)
	opts = append(opts,
		jetfn.WithFunctions(counting(t)), jetfn.WithEgress("example/counts"), jetfn.WithPartitions(2),
		jetfn.WithHTTP("127.0.0.1:0"), jetfn.WithNATSListen("127.0.0.1:0"),
		jetfn.WithReady(func(a jetfn.Addresses) { ready <- a }))
	app, err := jetfn.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	select {
	case at = <-ready:
	case err := <-ended:
		cancel()
		t.Fatalf("Run = %v", err)
	}
	return at, stop
}

func TestAProgramCountsOnAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 2 {
		at, stop := start(t, jetfn.WithData(dir))
		nc, err := nats.Connect(at.NATS)
		if err != nil {
			t.Fatal(err)
		}
		counts, err := nc.SubscribeSync("jetfn.egress.example.counts.>")
		if err == nil {
			err = nc.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, word := range []string{"tea", "rum", "tea"} {
			post(t, "http://"+at.HTTP+"/v1/send/example/anything/bar", word)
			m, err := counts.NextMsg(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("%s=%d", word, []int{1, 1, 2}[i]+[]int{2, 1, 2}[i]*round)
			if string(m.Data) != want {
				t.Errorf("round %d: %s, want %s", round, m.Data, want)
			}
		}
		nc.Close()
		stop()
	}
}

func post(t *testing.T, url, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("POST %s = %s, %v", url, resp.Status, err)
	}
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := jetfn.New(
		jetfn.WithFunctions(counting(t)), jetfn.WithFunctions(counting(t)),
		jetfn.WithModule("nowhere.yaml"), jetfn.WithModuleText("here.yaml", "kind: io.jetfn.nats.v1/egress\nspec:\n  idd: a/b\n"),
	)
	for _, want := range []string{"example/* is bound twice", "nowhere.yaml", "here.yaml:3:3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New does not mention %q: %v", want, err)
		}
	}
}
