package sdknats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/sync/semaphore"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/sdk"
)

const (
	// DefaultPrefix begins the subjects of functions.
	DefaultPrefix = "jetfn-functions"
	// AnnounceSubject gets an empty message whenever a service begins or ends,
	// whatever its prefix is: workers look then which services there are.
	AnnounceSubject = "jetfn-functions.announce"
	// FunctionsKey is the key of a service's metadata under which the types
	// of its functions are, separated by commas: how workers find it.
	FunctionsKey = "jetfn.functions"
	// PrefixKey is the key of the prefix of its subjects.
	PrefixKey = "jetfn.prefix"
	// StatesKey is the key of what its functions remember: JSON, a list of
	// {"function","name","type"}.
	StatesKey = "jetfn.states"

	headerStatus     = "Jetfn-Status"
	statusWorking    = "working"
	headerAttempt    = "Jetfn-Attempt"
	headerRetryAfter = "Jetfn-Retry-After"
	headerTimeout    = "Jetfn-Timeout"

	beat            = time.Second
	queueGroup      = "jetfn"
	defaultMaxCalls = 1024
	maxErrorBytes   = 4 << 10
	headerRoom      = 1 << 10
	flushLimit      = 10 * time.Second
)

// Option changes a service.
type Option func(*service)

// WithName is the service's name for NATS micro: letters, digits, "-" and "_".
// The default is "functions".
func WithName(name string) Option { return func(s *service) { s.name = name } }

// WithVersion is the service's version, such as "1.2.3". The default is
// "0.0.0".
func WithVersion(version string) Option { return func(s *service) { s.version = version } }

// WithPrefix begins the subjects of the functions. The default is
// DefaultPrefix.
func WithPrefix(prefix string) Option { return func(s *service) { s.prefix = prefix } }

// WithMaxCalls is how many calls may run at once; further ones are answered
// 429 and go elsewhere. The default is 1,024.
func WithMaxCalls(n int64) Option { return func(s *service) { s.maxCalls = n } }

// WithReady is called once calls come in. It must not block. The default is
// nothing.
func WithReady(f func()) Option { return func(s *service) { s.ready = f } }

type service struct {
	ready    func()
	registry *sdk.Registry
	conn     *nats.Conn
	name     string
	version  string
	prefix   string
	maxCalls int64

	places *semaphore.Weighted

	mu    sync.Mutex
	ended bool                 // no further calls
	since map[string]time.Time // calls in flight, by where their answer goes
	calls sync.WaitGroup
}

// Serve serves the functions of r until ctx ends; then it takes no further
// calls, lets those under way end, and returns nil. Any other return is an
// error.
func Serve(ctx context.Context, nc *nats.Conn, r *sdk.Registry, opts ...Option) error {
	s := &service{registry: r, conn: nc, name: "functions", version: "0.0.0", prefix: DefaultPrefix, maxCalls: defaultMaxCalls, ready: func() {}, since: map[string]time.Time{}}
	for _, opt := range opts {
		opt(s)
	}
	s.places = semaphore.NewWeighted(s.maxCalls)
	metadata, err := s.metadata()
	if err != nil {
		return err
	}
	running, err := micro.AddService(nc, micro.Config{
		Name: s.name, Version: s.version, Description: "stateful functions", QueueGroup: queueGroup, Metadata: metadata,
	})
	if err != nil {
		return fmt.Errorf("serve functions over NATS: %w", err)
	}
	work := context.WithoutCancel(ctx)
	for _, t := range r.Types() {
		handle := micro.HandlerFunc(func(req micro.Request) { s.take(work, req) })
		if err := running.AddEndpoint(endpointName(t), handle, micro.WithEndpointSubject(Subject(s.prefix, t))); err != nil {
			return errors.Join(fmt.Errorf("serve function %s over NATS: %w", t, err), running.Stop())
		}
	}
	if err := s.announce(); err != nil {
		return errors.Join(fmt.Errorf("serve functions over NATS: %w", err), running.Stop())
	}
	var beats sync.WaitGroup
	quiet := make(chan struct{})
	beats.Go(func() { s.beat(quiet) })
	s.ready()
	<-ctx.Done()
	err = running.Stop()
	_ = s.announce() // workers find out by themselves, and the server has heard that no call shall come any more
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.calls.Wait()
	close(quiet)
	beats.Wait()
	if err != nil {
		return fmt.Errorf("stop serving functions over NATS: %w", err)
	}
	return nil
}

// announce lets workers look again which services there are.
func (s *service) announce() error {
	if err := s.conn.Publish(AnnounceSubject, nil); err != nil {
		return fmt.Errorf("announce the service: %w", err)
	}
	if err := s.conn.FlushTimeout(flushLimit); err != nil {
		return fmt.Errorf("announce the service: %w", err)
	}
	return nil
}

// Subject is where calls of a function type go. The name "*" stands for the
// whole namespace.
func Subject(prefix string, t sdk.TypeName) string {
	name := t.Name
	if name != "*" {
		name = actor.Escape(name)
	}
	return prefix + "." + actor.Escape(t.Namespace) + "." + name
}

// endpointName is a name that NATS micro accepts.
func endpointName(t sdk.TypeName) string {
	var b strings.Builder
	for _, c := range t.Namespace + "_" + t.Name {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteRune(c)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}

// declaredState is a state in a service's metadata.
type declaredState struct {
	Function string `json:"function"`
	Name     string `json:"name"`
	Type     string `json:"type"`
}

func (s *service) metadata() (map[string]string, error) {
	var types []string
	states := []declaredState{}
	for _, t := range s.registry.Types() {
		types = append(types, t.String())
		specs, _ := s.registry.States(t)
		for i := range specs {
			states = append(states, declaredState{t.String(), specs[i].Name, specs[i].Type})
		}
	}
	text, err := json.Marshal(states)
	if err != nil {
		return nil, fmt.Errorf("describe the functions' states: %w", err)
	}
	return map[string]string{FunctionsKey: strings.Join(types, ","), PrefixKey: s.prefix, StatesKey: string(text)}, nil
}

// take starts a call; NATS hands them over one at a time.
func (s *service) take(ctx context.Context, req micro.Request) {
	if !s.places.TryAcquire(1) {
		_ = req.Error("429", "too many calls at once", nil) // who called finds out by itself
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		s.places.Release(1)
		_ = req.Error("503", "the service is ending", nil) // likewise
		return
	}
	s.since[req.Reply()] = time.Now()
	s.calls.Go(func() {
		defer s.places.Release(1)
		s.answer(ctx, req)
	})
}

// limited is ctx with the time limit of the call.
func limited(ctx context.Context, req micro.Request) (context.Context, context.CancelFunc) {
	if limit, err := time.ParseDuration(req.Headers().Get(headerTimeout)); err == nil {
		return context.WithTimeout(ctx, limit)
	}
	return context.WithCancel(ctx)
}

// answer makes a call and answers it.
func (s *service) answer(ctx context.Context, req micro.Request) {
	ctx, cancel := limited(ctx, req)
	defer cancel()
	attempt, _ := strconv.Atoi(req.Headers().Get(headerAttempt)) // zero: not told
	body, err := s.registry.Answer(ctx, req.Data(), sdk.CallInfo{
		Attempt: attempt, Parent: req.Headers().Get("traceparent"), State: req.Headers().Get("tracestate"),
	})
	s.mu.Lock()
	delete(s.since, req.Reply())
	s.mu.Unlock()
	if limit := s.conn.MaxPayload() - headerRoom; err == nil && int64(len(body)) > limit {
		err = sdk.Never(fmt.Errorf("the answer has %d bytes, the NATS server takes %d", len(body), limit))
	}
	if err != nil {
		refuse(req, err)
		return
	}
	_ = req.Respond(body) // who has gone doesn't miss it
}

// beat says of all calls that take longer, every second, that somebody works
// at them. One goroutine does it for all.
func (s *service) beat(quiet <-chan struct{}) {
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	for {
		select {
		case <-quiet:
			return
		case now := <-ticks.C:
			for _, reply := range s.longer(now) {
				_ = s.conn.PublishMsg(&nats.Msg{Subject: reply, Header: nats.Header{headerStatus: {statusWorking}}}) // the next one may get through
			}
		}
	}
}

// longer are the calls that have been in flight for half a beat, by where
// their answer goes.
func (s *service) longer(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for reply, since := range s.since {
		if now.Sub(since) > beat/2 {
			out = append(out, reply)
		}
	}
	return out
}

func refuse(req micro.Request, err error) {
	code := "500"
	headers := micro.Headers{}
	var failure *sdk.Failure
	if errors.As(err, &failure) {
		if failure.Never {
			code = "400"
		}
		if failure.After > 0 {
			headers[headerRetryAfter] = []string{failure.After.String()}
		}
	}
	text := strings.NewReplacer("\r", " ", "\n", " ").Replace(err.Error())
	if len(text) > maxErrorBytes {
		text = text[:maxErrorBytes]
	}
	_ = req.Error(code, text, nil, micro.WithHeaders(headers)) // who has gone doesn't miss it
}
