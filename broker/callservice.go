package broker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/jetfn/jetfn/actor"
)

// Headers of requests to the call service besides those of other messages.
const (
	headerTimeout        = "Jetfn-Timeout"
	headerIdempotencyKey = "Idempotency-Key"
	headerAccept         = "Accept"
)

// Limits of what the server has handed over and no goroutine has taken yet.
const (
	callPending      = 10_000
	callPendingBytes = 64 << 20
)

// CallRequest is a core request for a function. It is only as good as its
// sender made it.
type CallRequest struct {
	Target  actor.Address
	Value   actor.Value
	Trace   actor.Trace
	Key     string         // Idempotency-Key
	Timeout string         // as its sender wrote it; empty: none
	Accept  string         // the media type that is wanted; empty: any
	Problem *actor.Problem // why it can't be handed to a function
}

// CallAnswer is the answer to a CallRequest.
type CallAnswer struct {
	Header map[string]string
	Data   []byte
	Code   int    // of an error, as in HTTP; zero: it is none
	Error  string // one line
}

// CallService is the application's call service on one connection.
type CallService struct {
	app     *App
	nc      *nats.Conn
	service micro.Service
	answer  func(context.Context, *CallRequest) CallAnswer
	ctx     context.Context //nolint:containedctx // of the requests in progress
	cancel  context.CancelFunc
	begun   sync.WaitGroup
}

// ServeCalls serves core requests to "<app>.call.<ns>.<type>.<id>" with the
// NATS micro framework: workers of an application share them. Each request is
// answered by answer, in a goroutine of its own; its context ends with Stop.
// The answers are published over nc, which should have no right that those who
// ask don't have. Version is what `nats micro ls` shows.
func (a *App) ServeCalls(ctx context.Context, nc *nats.Conn, version string, answer func(context.Context, *CallRequest) CallAnswer) (*CallService, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &CallService{app: a, nc: nc, answer: answer, ctx: ctx, cancel: cancel}
	service, err := micro.AddService(nc, micro.Config{
		Name:        a.names.app,
		Version:     semver(version),
		Description: "calls of the functions of the jetfn application " + a.names.app,
	})
	if err == nil {
		s.service = service
		err = service.AddEndpoint("call", micro.HandlerFunc(s.serve),
			micro.WithEndpointSubject(a.names.callAll()),
			micro.WithEndpointQueueGroup(a.names.app),
			micro.WithEndpointPendingLimits(callPending, callPendingBytes),
			micro.WithEndpointMetadata(map[string]string{"subject": a.names.callForm()}))
	}
	if err != nil {
		cancel()
		if service != nil {
			err = errors.Join(err, service.Stop())
		}
		return nil, fmt.Errorf("serve calls over NATS: %w", err)
	}
	return s, nil
}

// Stop takes no more requests and waits until those in progress are answered.
func (s *CallService) Stop() {
	_ = s.service.Stop() // it fails when the connection is gone, and then there is nothing to stop
	s.cancel()
	s.begun.Wait()
}

// serve takes a request. It must not block the subscription.
func (s *CallService) serve(r micro.Request) {
	request := s.app.callRequest(r.Subject(), nats.Header(r.Headers()), r.Data())
	reply := r.Reply()
	if s.app.names.isInternal(reply) {
		// Where nc may publish there, its reader must not make it do so.
		s.app.cfg.Log.Warn().Str("reply", reply).Msg("a caller wants its answer on an internal subject, not answered")
		return
	}
	s.begun.Go(func() {
		m := s.message(reply, s.answer(s.ctx, request))
		if reply == "" {
			return
		}
		if err := s.nc.PublishMsg(m); err != nil {
			s.app.cfg.Log.Debug().Err(err).Msg("caller not answered")
		}
	})
}

// message is the answer as it is published. It isn't made by the framework,
// which reads a request again when its handler has returned.
func (s *CallService) message(reply string, a CallAnswer) *nats.Msg {
	m := &nats.Msg{Subject: reply, Header: nats.Header{}, Data: a.Data}
	for name, value := range a.Header {
		setText(m.Header, name, value)
	}
	if limit := int(s.nc.MaxPayload()); a.Code == 0 && len(m.Data)+headerSize(m.Header) > limit {
		a = CallAnswer{Code: 500, Error: fmt.Sprintf("the reply has %d bytes, the server takes %d", len(m.Data), limit)}
		m.Data = nil
	}
	if a.Code != 0 {
		setText(m.Header, micro.ErrorCodeHeader, strconv.Itoa(a.Code))
		setText(m.Header, micro.ErrorHeader, oneLine(a.Error))
	}
	return m
}

// oneLine is text for a header.
func oneLine(s string) string {
	const most = 1000
	if s = strings.Join(strings.Fields(s), " "); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func (a *App) callRequest(subject string, h nats.Header, data []byte) *CallRequest {
	said := saidIn(h)
	r := &CallRequest{
		Trace: said.trace, Key: lookup(h, headerIdempotencyKey), Timeout: lookup(h, headerTimeout), Accept: lookup(h, headerAccept),
	}
	key, _ := a.names.callKey(subject)
	target, err := actor.ParseKey(key)
	r.Target = target
	switch {
	case err != nil && target.Type.Namespace != "" && target.Check() == nil:
		r.Problem = badCall(fmt.Sprintf("the address in %q is not in canonical form; ask %s", subject, a.names.call(target)))
	case err != nil:
		r.Problem = badCall(fmt.Sprintf("subject %q is no address, ask %s: %v", subject, a.names.callForm(), err))
	default:
		r.Value, r.Problem = actor.ValueFrom(said.valueType, said.contentType, data)
	}
	return r
}

func badCall(detail string) *actor.Problem {
	return &actor.Problem{Reason: actor.ReasonBadAddress, Detail: detail}
}

// semver is version as the framework wants it.
func semver(version string) string {
	version = strings.TrimPrefix(version, "v")
	if regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`).MatchString(version) {
		return version
	}
	return "0.0.0"
}
