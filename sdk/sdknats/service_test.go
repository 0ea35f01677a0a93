package sdknats_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdknats"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// start serves functions until the test ends, and returns the connection.
func start(t *testing.T, functions ...sdk.Function) *nats.Conn {
	t.Helper()
	r, err := sdk.NewRegistry(functions)
	if err != nil {
		t.Fatal(err)
	}
	nc := brokertest.Start(t).Conn()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended, ready := make(chan error, 1), make(chan struct{})
	go func() { ended <- sdknats.Serve(ctx, nc, r, sdknats.WithReady(func() { close(ready) })) }()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		t.Fatalf("Serve = %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return nc
}

// call calls a function as the worker does.
func call(t *testing.T, nc *nats.Conn, function, text string) (int, string) {
	t.Helper()
	name, err := sdk.ParseTypeName(function)
	if err != nil {
		t.Fatal(err)
	}
	body, err := proto.Marshal(&pb.ToFunction{Request: &pb.ToFunction_Invocation_{Invocation: &pb.ToFunction_InvocationBatchRequest{
		Target: &pb.Address{Namespace: name.Namespace, Type: name.Name, Id: "1"},
		Invocations: []*pb.ToFunction_Invocation{{Argument: &pb.TypedValue{
			Typename: "io.statefun.types/string", HasValue: true, Value: sdk.String().Of(text).Data,
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: broker.NewServiceTransport(nc)}
	url := "nats://" + sdknats.Subject(sdknats.DefaultPrefix, name)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestAFunctionIsCalledOverNATS(t *testing.T) {
	t.Parallel()
	nc := start(t, sdk.Function{Type: "shop/cart", Invoke: func(ctx sdk.Context, m sdk.Message) error {
		ctx.Send(sdk.To("shop/log", "x"), m)
		return nil
	}})
	status, body := call(t, nc, "shop/cart", "tea")
	m := &pb.FromFunction{}
	if err := proto.Unmarshal([]byte(body), m); err != nil || status != http.StatusOK {
		t.Fatalf("call = %d %q, %v", status, body, err)
	}
	if got := m.GetInvocationResult().GetOutgoingMessages(); len(got) != 1 || got[0].GetTarget().GetType() != "log" {
		t.Errorf("effects = %v", m)
	}
}

func TestFailuresComeBackWithTheirKind(t *testing.T) {
	t.Parallel()
	own := errors.New("no\r\ntea")
	large := strings.Repeat("x", 2<<20)
	nc := start(t, sdk.Function{Type: "shop/*", Invoke: func(ctx sdk.Context, m sdk.Message) error {
		text, err := sdk.String().From(m)
		switch {
		case err != nil:
			return err
		case text == "never":
			return sdk.Never(own)
		case text == "large":
			ctx.Send(ctx.Self(), sdk.String().Of(large))
			return nil
		}
		return own
	}})
	for text, want := range map[string]struct {
		status int
		text   string
	}{
		"again": {http.StatusInternalServerError, "no  tea"},
		"never": {http.StatusBadRequest, "no  tea"},
		"large": {http.StatusBadRequest, "larger"},
	} {
		status, body := call(t, nc, "shop/any", text)
		if text == "large" {
			want.text = "the NATS server takes"
		}
		if status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("call with %q = %d %q, want %d %q", text, status, body, want.status, want.text)
		}
	}
}

func TestACallThatTakesLongIsNotTakenForDead(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	nc := start(t, sdk.Function{Type: "shop/slow", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}})
	watch, err := nc.SubscribeSync("_INBOX.>")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int, 1)
	go func() {
		status, _ := call(t, nc, "shop/slow", "tea")
		done <- status
	}()
	for {
		m, err := watch.NextMsg(time.Minute)
		if err != nil {
			t.Fatalf("the service was silent: %v", err)
		}
		if m.Header.Get("Jetfn-Status") == "working" {
			break
		}
	}
	close(release)
	if status := <-done; status != http.StatusOK {
		t.Errorf("call = %d", status)
	}
}

func TestServicesSayWhatTheyServe(t *testing.T) {
	t.Parallel()
	seen := sdk.NewValue("seen", sdk.Int64())
	nc := start(t, sdk.Function{Type: "shop/cart", States: []sdk.State{seen}, Invoke: func(sdk.Context, sdk.Message) error { return nil }})
	m, err := nc.Request("$SRV.INFO", nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"jetfn.functions":"shop/cart"`, `"jetfn.prefix":"jetfn-functions"`, `\"name\":\"seen\"`, `"subject":"jetfn-functions.shop.cart"`} {
		if !strings.Contains(string(m.Data), want) {
			t.Errorf("$SRV.INFO has no %s:\n%s", want, m.Data)
		}
	}
}
