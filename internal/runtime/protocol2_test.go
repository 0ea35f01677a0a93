package runtime_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/wire/egress2"
	pb "github.com/jetfn/jetfn/internal/wire/polyglot"
)

// counter2 counts in its state "seen", as a function of protocol 2.x, and
// emits each count as a record for Kafka under its id.
func counter2(tb testing.TB) string {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := count2(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(answer)
	}))
	tb.Cleanup(server.Close)
	return server.URL
}

func count2(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var call pb.ToFunction
	if err := proto.Unmarshal(data, &call); err != nil {
		return nil, err
	}
	n := 0
	for _, s := range call.GetInvocation().GetState() {
		if s.GetStateName() == "seen" && len(s.GetStateValue()) > 0 {
			if n, err = strconv.Atoi(string(s.GetStateValue())); err != nil {
				return nil, err
			}
		}
	}
	result := &pb.FromFunction_InvocationResponse{}
	for _, m := range call.GetInvocation().GetInvocations() {
		if _, err := m.GetArgument().UnmarshalNew(); err != nil {
			return nil, fmt.Errorf("argument: %w", err)
		}
		n++
		record, err := anypb.New(&egress2.KafkaProducerRecord{
			Key: call.GetInvocation().GetTarget().GetId(), Topic: "counts", ValueBytes: []byte(strconv.Itoa(n)),
		})
		if err != nil {
			return nil, err
		}
		result.OutgoingEgresses = append(result.OutgoingEgresses, &pb.FromFunction_EgressMessage{
			EgressNamespace: "shop", EgressType: "counts", Argument: record,
		})
	}
	result.StateMutations = []*pb.FromFunction_PersistedValueMutation{{
		MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: "seen", StateValue: []byte(strconv.Itoa(n)),
	}}
	return proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}})
}

func TestAFunctionOfProtocol2CountsInStateThatTheModuleDeclares(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: parse(t, fmt.Sprintf(`
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: %s
  protocol: v2
  states:
    - name: seen
      expireAfter: 1h
---
kind: io.jetfn.nats.v1/egress
spec: {id: shop/*}
`, counter2(t)))})
	sub := subscribe(t, w.NATS, "jetfn.egress.shop.counts.>")
	for n := 1; n <= 3; n++ {
		w.send("shop/counter/Ada")
		m := next(t, sub)
		if got, want := string(m.Data), strconv.Itoa(n); got != want || m.Subject != "jetfn.egress.shop.counts.Ada" || m.Header.Get("Jetfn-Topic") != "counts" {
			t.Fatalf("record %d = %s %q %v, want %q under the key Ada and the topic counts", n, m.Subject, got, m.Header, want)
		}
	}
	_, _, body := request(t, http.MethodGet, "http://"+w.HTTP+"/v1/state/shop/counter/Ada", "")
	var state struct {
		Values map[string]struct {
			Type                 string
			Value                []byte
			WrittenAt, ExpiresAt int64
		}
	}
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatal(err)
	}
	seen := state.Values["seen"]
	if seen.Type != "io.jetfn.types/bytes" || string(seen.Value) != "3" || seen.ExpiresAt-seen.WrittenAt != time.Hour.Milliseconds() {
		t.Errorf("state = %s, want 3 as io.jetfn.types/bytes that expires an hour after it was written", body)
	}
}
