package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/wire"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

const (
	contentType = "application/octet-stream"
	maxBody     = 32 << 20
)

// remoteCounter is the workload's function as a server of protocol 3.x.
// It counts its calls.
func remoteCounter(calls *atomic.Uint64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		serveCall(w, r)
	})
}

func serveCall(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := answerCall(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(answer) // who has gone doesn't miss it
}

func answerCall(body []byte) ([]byte, error) {
	var call pb.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		return nil, fmt.Errorf("read call: %w", err)
	}
	batch := call.GetInvocation()
	if batch == nil {
		return nil, errors.New("read call: it has no invocation")
	}
	var old *pb.ToFunction_PersistedValue
	for _, s := range batch.GetState() {
		if s.GetStateName() == stateName {
			old = s
		}
	}
	if old == nil {
		return proto.Marshal(missingCount())
	}
	count, err := parseCount(old.GetStateValue().GetValue())
	if err != nil {
		return nil, err
	}
	result := &pb.FromFunction_InvocationResponse{}
	for _, in := range batch.GetInvocations() {
		index, err := indexOf(in.GetArgument().GetValue())
		if err != nil {
			return nil, err
		}
		count++
		result.OutgoingEgresses = append(result.OutgoingEgresses, &pb.FromFunction_EgressMessage{
			EgressNamespace: egressID().Namespace, EgressType: egressID().Name,
			Argument: &pb.TypedValue{Typename: recordType, HasValue: true, Value: newRecord(batch.GetTarget().GetId(), count, index)},
		})
	}
	result.StateMutations = []*pb.FromFunction_PersistedValueMutation{{
		MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: stateName,
		StateValue: &pb.TypedValue{Typename: wire.TypeLong, HasValue: true, Value: countValue(count).Data},
	}}
	return proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}})
}

// missingCount asks for the state that the function has.
func missingCount() *pb.FromFunction {
	return &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{
			MissingValues: []*pb.FromFunction_PersistedValueSpec{{StateName: stateName, TypeTypename: wire.TypeLong}},
		},
	}}
}

// sampleCall is the body of a call with one message of the given size, as the
// worker makes it.
func sampleCall(size int) ([]byte, error) {
	argument, problem := actor.TextValue(message(nil, size, 1))
	if problem != nil {
		return nil, errors.New(problem.Detail)
	}
	return proto.Marshal(&pb.ToFunction{Request: &pb.ToFunction_Invocation_{Invocation: &pb.ToFunction_InvocationBatchRequest{
		Target: &pb.Address{Namespace: counterType().Namespace, Type: counterType().Name, Id: keyText(500)},
		State: []*pb.ToFunction_PersistedValue{{
			StateName: stateName, StateValue: &pb.TypedValue{Typename: wire.TypeLong, HasValue: true, Value: countValue(1000).Data},
		}},
		Invocations: []*pb.ToFunction_Invocation{{
			Argument: &pb.TypedValue{Typename: argument.Type, HasValue: true, Value: argument.Data},
		}},
	}}})
}

// functionConfig is what the function's child is told.
type functionConfig struct {
	NATS       string `json:"nats,omitempty"` // the server to serve at; empty: over HTTP
	ProfileDir string `json:"profileDir,omitempty"`
}

// RunFunction is the child that serves the function, over HTTP or NATS.
func RunFunction(ctx context.Context, config string, in io.Reader, out io.Writer) error {
	var cfg functionConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	calls := &atomic.Uint64{}
	p := &profiler{dir: cfg.ProfileDir, prefix: "function"}
	if cfg.NATS != "" {
		return serveNATS(cfg.NATS, calls, func() error { return obey(ctx, in, out, readiness{NATS: cfg.NATS}, p, calls) })
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", anyPort)
	if err != nil {
		return fmt.Errorf("listen for the function: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var server errgroup.Group
	server.Go(func() error {
		defer stop()
		return gateway.Serve(ctx, ln, remoteCounter(calls), gateway.ServeConfig{})
	})
	err = obey(ctx, in, out, readiness{HTTP: ln.Addr().String()}, p, calls)
	stop()
	return errors.Join(err, server.Wait())
}
