package sdktest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/internal/inprocess"
	"github.com/jetfn/jetfn/sdk"
)

// epoch is when every App begins.
const epoch = "2024-01-01T00:00:00Z"

// settleRounds is how much may happen at one instant. Functions that send to
// each other without end exceed it.
const settleRounds = 1_000_000

// TB is what this package needs of a test: *testing.T and *testing.B are one,
// and so is what other frameworks offer.
type TB interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// App is an application in memory. Its methods return when everything that
// follows at that instant has happened. They fail the test on misuse, and are
// for its goroutine only.
type App struct {
	tb        TB
	memory    *actortest.Memory
	ports     actor.Ports
	partition *actor.Partition
	functions map[actor.TypeName]actor.FunctionSpec
	log       zerolog.Logger

	start, now int64 // Unix milliseconds
	events     []actor.Event
	next       map[actor.Source]uint64 // deliveries to come
	answers    map[actor.Address]actor.Value
	calls      int
	sent       map[actor.Address][]Sent
}

// Sent is a message to a function that the App doesn't have.
type Sent struct {
	From  sdk.Address // the zero address: from outside
	Value sdk.TypedValue
}

// New starts an application with the functions of r. Messages to other types
// are kept for Sent. Each egress is there.
func New(tb TB, r *sdk.Registry) *App {
	tb.Helper()
	begin, err := time.Parse(time.RFC3339, epoch)
	if err != nil {
		tb.Fatal(err)
	}
	a := &App{
		tb: tb, memory: actortest.NewMemory(), functions: inprocess.New(r), log: zerolog.Nop(),
		start: begin.UnixMilli(), now: begin.UnixMilli(), next: map[actor.Source]uint64{},
		answers: map[actor.Address]actor.Value{}, sent: map[actor.Address][]Sent{},
	}
	a.memory.SetClock(func() int64 { return a.now })
	a.open()
	return a
}

// open makes an owner of what is stored.
func (a *App) open() {
	cfg := actor.Config{Incarnation: 1}.WithDefaults()
	a.ports = a.memory.Ports(0)
	a.ports.Replies = replies{a}
	a.partition = actor.NewPartition(&cfg, catalog{a})
	a.partition.SetTime(a.now)
	a.partition.Open()
	a.settle()
	for source, position := range a.partition.Positions() {
		a.next[source] = position
	}
	a.settle()
}

// Restart makes the application forget everything that isn't stored, as a
// crash does, and start again.
func (a *App) Restart() {
	a.tb.Helper()
	a.events = nil
	clear(a.next)
	a.open()
}

// Now is the application's time.
func (a *App) Now() time.Time { return time.UnixMilli(a.now).UTC() }

// Send sends v from outside.
func (a *App) Send(functionType, id string, v sdk.TypedValue) {
	a.tb.Helper()
	a.send(actor.Envelope{Target: address(sdk.To(functionType, id)), Value: value(v)})
	a.settle()
}

// SendFrom sends v as another function would.
func (a *App) SendFrom(callerType, callerID, functionType, id string, v sdk.TypedValue) {
	a.tb.Helper()
	a.send(actor.Envelope{Target: address(sdk.To(functionType, id)), Caller: address(sdk.To(callerType, callerID)), Value: value(v)})
	a.settle()
}

// Call sends v from outside and returns the reply of the function; false if
// there was none at this instant.
func (a *App) Call(functionType, id string, v sdk.TypedValue) (reply sdk.TypedValue, ok bool) {
	a.tb.Helper()
	a.calls++
	caller := actor.WaitingCaller("test", strconv.Itoa(a.calls))
	a.send(actor.Envelope{Target: address(sdk.To(functionType, id)), Caller: caller, Value: value(v)})
	a.settle()
	got, ok := a.answers[caller]
	delete(a.answers, caller)
	if got.Type == actor.FailureType {
		failure, err := actor.ParseFailure(got)
		a.tb.Fatalf("the call of %s/%s was given up: %s %v", functionType, id, failure.Error, err)
	}
	return sdk.TypedValue{Type: got.Type, Data: got.Data}, ok
}

func (a *App) send(e actor.Envelope) {
	a.tb.Helper()
	if err := e.Target.Check(); err != nil {
		a.tb.Fatal(err)
	}
	a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: e})
}

// Advance lets d pass: delayed messages arrive, states expire, retries come.
func (a *App) Advance(d time.Duration) {
	a.tb.Helper()
	end := a.now + d.Milliseconds()
	for {
		at, ok := a.partition.Wake()
		if !ok || at > end {
			break
		}
		a.now = max(a.now, at)
		a.settle()
	}
	a.now = end
	a.settle()
}

// settle lets everything happen that can at this instant.
func (a *App) settle() {
	a.tb.Helper()
	for range settleRounds {
		a.partition.SetTime(a.now)
		events := a.events
		a.events = nil
		for _, ev := range events {
			ev(a.partition)
		}
		delivered := a.deliver()
		a.partition.Settle()
		a.partition.Perform(&a.ports, a, &a.log)
		if err := a.partition.Err(); err != nil {
			a.tb.Fatalf("the application broke down: %v", err)
		}
		if at, ok := a.partition.Wake(); len(a.events) == 0 && !delivered && (!ok || at > a.now) {
			return
		}
	}
	a.tb.Fatalf("the application does not come to rest: its functions send to each other without end")
}

// deliver hands the next message over.
func (a *App) deliver() bool {
	if !a.partition.Running() {
		return false
	}
	for _, source := range []actor.Source{actor.SourceMailbox, actor.SourceIngress} {
		if d, ok := a.memory.Delivery(source, 0, a.next[source]); ok && a.partition.Room(source) {
			a.next[source] = d.Seq + 1
			a.partition.Deliver(&d)
			return true
		}
	}
	return false
}

// Sent returns the messages to an address of a type that no function of the
// App has, oldest first.
func (a *App) Sent(functionType, id string) []Sent {
	return a.sent[address(sdk.To(functionType, id))]
}

// Record is a record of an egress.
type Record struct {
	From  sdk.Address
	Value sdk.TypedValue
}

// Egress returns the records of an egress, oldest first.
func (a *App) Egress(id string) []Record {
	a.tb.Helper()
	name, err := actor.ParseTypeName(id)
	if err != nil {
		a.tb.Fatal(err)
	}
	var out []Record
	for _, m := range a.memory.EgressMessages() {
		if m.Egress.ID == name {
			v := m.Egress.Value
			out = append(out, Record{From: outside(m.Source), Value: sdk.TypedValue{Type: v.Type, Data: v.Data}})
		}
	}
	return out
}

// DeadLetter is a message that was given up.
type DeadLetter struct {
	To       sdk.Address
	From     sdk.Address
	Value    sdk.TypedValue
	Error    string
	Attempts int
}

// DeadLetters returns the messages that were given up, oldest first.
func (a *App) DeadLetters() []DeadLetter {
	var out []DeadLetter
	for _, m := range a.memory.DeadLetters() {
		d := m.DeadLetter
		out = append(out, DeadLetter{
			To: outside(d.Envelope.Target), From: outside(d.Envelope.Caller),
			Value: sdk.TypedValue{Type: d.Envelope.Value.Type, Data: d.Envelope.Value.Data},
			Error: d.Error, Attempts: d.Attempts,
		})
	}
	return out
}

// State returns what an address remembers in v; false if nothing.
func State[T any](a *App, functionType, id string, v sdk.Value[T]) (out T, ok bool) {
	a.tb.Helper()
	found := actor.StateView{}
	var failed error
	a.partition.Query(address(sdk.To(functionType, id)), func(view actor.StateView, err error) { found, failed = view, err })
	a.settle()
	if failed != nil {
		a.tb.Fatal(failed)
	}
	stored, ok := found.State.Get(v.Name())
	if !ok {
		return out, false
	}
	out, err := v.Type().From(sdk.TypedValue{Type: stored.Value.Type, Data: stored.Value.Data})
	if err != nil {
		a.tb.Fatal(err)
	}
	return out, true
}

// Post is part of actor.Host.
func (a *App) Post(ev actor.Event) bool {
	a.events = append(a.events, ev)
	return true
}

// Go is part of actor.Host: what takes time takes none here.
func (a *App) Go(_ actor.Work, f func(ctx context.Context)) { f(a.tb.Context()) }

// Acquire is part of actor.Host.
func (*App) Acquire(_ actor.Place, grant func()) { grant() }

// Release is part of actor.Host.
func (*App) Release(actor.Place, actor.CallResult) {}

// catalog has the functions of the App; all others only take messages.
type catalog struct{ *App }

// Lookup is part of actor.Catalog.
func (c catalog) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	if spec, ok := c.functions[t]; ok {
		return spec, true
	}
	if spec, ok := c.functions[actor.TypeName{Namespace: t.Namespace, Name: "*"}]; ok {
		return spec, true
	}
	return actor.FunctionSpec{Function: recorder(c), Endpoint: "test"}, true
}

// recorder keeps messages.
type recorder struct{ *App }

// Invoke is part of actor.Function.
func (r recorder) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	if b.Target.IsZero() {
		return nil, errors.New("a message for nobody")
	}
	for i := range b.Envelopes {
		e := &b.Envelopes[i]
		r.sent[b.Target] = append(r.sent[b.Target], Sent{
			From: outside(e.Caller), Value: sdk.TypedValue{Type: e.Value.Type, Data: e.Value.Data},
		})
	}
	return &actor.Effects{}, nil
}

// replies takes the answers to Call.
type replies struct{ *App }

// Reply is part of actor.Replies.
func (r replies) Reply(e *actor.Envelope) {
	if _, first := r.answers[e.Target]; !first {
		r.answers[e.Target] = e.Value
	}
}

func address(a sdk.Address) actor.Address {
	return actor.Address{Type: actor.TypeName(a.Type), ID: a.ID}
}

func outside(a actor.Address) sdk.Address { return sdk.Address{Type: sdk.TypeName(a.Type), ID: a.ID} }

func value(v sdk.TypedValue) actor.Value { return actor.Value{Type: v.Type, Data: v.Data} }
