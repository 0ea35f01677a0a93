// Package demo is the stateful function of jetfn demo: a greeter that counts
// how often it has met whom. It speaks StateFun's protocol 3.x over HTTP, as a
// function written with any SDK does, and knows nothing of jetfn otherwise.
package demo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/wire"
	"github.com/jetfn/jetfn/internal/wire/egress"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

const (
	// Function is the greeter's type; the id of an address is whom it greets.
	Function = "example/greeter"
	// Egress is where the greetings go.
	Egress = "demo/greetings"

	state       = "seen"
	contentType = "application/octet-stream"
	maxBody     = 32 << 20
	kafkaRecord = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
)

// Module is the module file that binds the greeter at url.
func Module(url string) string {
	return fmt.Sprintf(`kind: io.statefun.endpoints.v2/http
spec:
  functions: %s
  urlPathTemplate: %s
---
kind: io.jetfn.nats.v1/egress
spec:
  id: %s
`, Function, url, Egress)
}

// Greeter is the function's server.
func Greeter() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := answer(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(answer) // who has gone doesn't miss it
}

func answer(body []byte) ([]byte, error) {
	var call pb.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		return nil, fmt.Errorf("read call: %w", err)
	}
	batch := call.GetInvocation()
	if batch == nil {
		return nil, errors.New("read call: it has no invocation")
	}
	seen, declared, err := count(batch.GetState())
	if err != nil {
		return nil, err
	}
	if !declared {
		return proto.Marshal(missing())
	}
	result, err := greet(batch.GetTarget().GetId(), seen, batch.GetInvocations())
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}})
}

// count reads how often the address was met; false if the runtime doesn't
// know yet that it has such a state.
func count(states []*pb.ToFunction_PersistedValue) (seen int, declared bool, err error) {
	for _, s := range states {
		if s.GetStateName() != state {
			continue
		}
		if s.GetStateValue() == nil {
			return 0, true, nil
		}
		text, ok := wire.Text(wire.TypeInt, s.GetStateValue().GetValue())
		if !ok {
			return 0, true, fmt.Errorf("state %s is no number", state)
		}
		seen, err = strconv.Atoi(text)
		return seen, true, err
	}
	return 0, false, nil
}

// missing asks for the state that the greeter has.
func missing() *pb.FromFunction {
	return &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{
			MissingValues: []*pb.FromFunction_PersistedValueSpec{{StateName: state, TypeTypename: wire.TypeInt}},
		},
	}}
}

// greet makes one greeting for each message, and tells its caller too.
func greet(name string, seen int, messages []*pb.ToFunction_Invocation) (*pb.FromFunction_InvocationResponse, error) {
	result := &pb.FromFunction_InvocationResponse{}
	for _, m := range messages {
		seen++
		if m.GetCaller() != nil {
			text, err := wire.FromText(wire.TypeString, greeting(name, seen))
			if err != nil {
				return nil, fmt.Errorf("write greeting: %w", err)
			}
			result.OutgoingMessages = append(result.OutgoingMessages, &pb.FromFunction_Invocation{
				Target: m.GetCaller(), Argument: &pb.TypedValue{Typename: wire.TypeString, HasValue: true, Value: text},
			})
		}
		record, err := proto.Marshal(&egress.KafkaProducerRecord{
			Key: name, Topic: "greetings", ValueBytes: []byte(greeting(name, seen)),
		})
		if err != nil {
			return nil, fmt.Errorf("write greeting: %w", err)
		}
		result.OutgoingEgresses = append(result.OutgoingEgresses, &pb.FromFunction_EgressMessage{
			EgressNamespace: "demo", EgressType: "greetings",
			Argument: &pb.TypedValue{Typename: kafkaRecord, HasValue: true, Value: record},
		})
	}
	data, err := wire.FromText(wire.TypeInt, strconv.Itoa(seen))
	if err != nil {
		return nil, fmt.Errorf("write state %s: %w", state, err)
	}
	result.StateMutations = []*pb.FromFunction_PersistedValueMutation{{
		MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: state,
		StateValue: &pb.TypedValue{Typename: wire.TypeInt, HasValue: true, Value: data},
	}}
	return result, nil
}

func greeting(name string, seen int) string {
	if seen == 1 {
		return fmt.Sprintf("Hello %s, nice to meet you!", name)
	}
	return fmt.Sprintf("Hello %s, good to see you for the %s time!", name, ordinal(seen))
}

func ordinal(n int) string {
	suffix := "th"
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		suffix = "st"
	case n%10 == 2:
		suffix = "nd"
	case n%10 == 3:
		suffix = "rd"
	}
	return strconv.Itoa(n) + suffix
}
