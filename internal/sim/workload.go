package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/cron"
)

// op is what a message asks a function to do. It is the message's content;
// ID makes every message different.
type op struct {
	ID   string `json:"id"`
	Do   string `json:"do"`
	Hops int    `json:"hops,omitempty"`
	N    int    `json:"n,omitempty"`
	Pad  string `json:"pad,omitempty"`
	Type int    `json:"type,omitempty"` // of the outside target: 0 or 1; 2: unknown; 3: with a problem
}

const (
	typeMain = iota
	typeTwin
	typeUnknown
	typeProblem
)

// allOps are what outside messages ask for; those that are more interesting
// come more often.
func allOps() []string {
	return []string{
		"count", "transfer", "transfer", "chain", "chain", "self", "fan", "delay", "delay", "set", "set", "cancel", "cancel",
		"put", "clear", "entry", "entry", "blind", "drop", "poison", "big", "silent", "dice", "race", "emit", "badtarget", "lease", "lease", "renew",
	}
}

func makeOp(r *rand.Rand, k *Knobs, hops int) op {
	o := op{Do: pick(r, k.Ops...), Hops: hops, N: r.IntN(10)}
	switch r.IntN(25) {
	case 0:
		o.Type = typeUnknown
	case 1:
		o.Type = typeProblem
	case 2, 3, 4:
		o.Type = typeTwin
	}
	if o.Do == "poison" && r.IntN(2) == 0 || k.Config.MaxRecord > 5000 && o.Do == "big" {
		o.Do = "count"
	}
	return o
}

// address is the i-th address. Twins have the same id, and so the same
// partition.
func address(i int) actor.Address { return typed(typeMain, i) }

func typed(kind, i int) actor.Address {
	name := []string{"main", "twin", "unknown", "main"}[kind]
	return actor.Address{Type: actor.TypeName{Namespace: "sim", Name: name}, ID: "a" + strconv.Itoa(i)}
}

func number(a actor.Address) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(a.ID, "a"))
	return n
}

func (o *op) value() actor.Value {
	data, _ := json.Marshal(o) //nolint:errchkjson // strings and numbers only
	return actor.Value{Type: "sim/op", Data: data}
}

func readOp(v actor.Value) (o op) {
	_ = json.Unmarshal(v.Data, &o) // ours
	return o
}

// call is an invocation that a function answered, under a name of its own.
type call struct {
	id      string
	target  actor.Address
	inputs  []actor.Envelope
	state   actor.State
	entries []string // that it has asked for
	from    int64    // when it was made, by its owner's time
	effects *actor.Effects
	silent  bool
	caller  actor.Address // of its sends; zero: target
	done    bool          // it is in a commit
	tick    *tick         // of the built-in cron function
}

// The pauses between the attempts of a call.
const (
	backoffMin = 5 * time.Millisecond
	backoffMax = 200 * time.Millisecond
)

// functions are the world's user code.
type functions struct {
	w      *World
	fate   callFate                // of the next Invoke
	from   int64                   // when that call began, by its owner's time
	clock  int64                   // of its owner, now
	paused map[actor.PauseKey]bool // when it began
	gone   map[string]bool         // functions that were removed when it began
	calls  map[string]*call
	quiet  map[string]*call // silent calls, by their inputs
}

type callFate uint8

const (
	callRuns callFate = iota
	callFails
	callUnreached
	callHangs
)

// Lookup is part of actor.Catalog.
func (f *functions) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	if t == cron.Type() {
		return actor.FunctionSpec{Function: ticker{f}, MaxBatch: f.w.plan.Knobs.MaxBatch}, true
	}
	return f.spec(t.Name), t.Name == "main" || t.Name == "twin"
}

// Invoke is part of actor.Function.
func (f *functions) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	f.barredBy(f.paused, b)
	f.checkPrompt(b)
	if f.gone[b.Target.Type.Name] {
		f.w.fail("%s is called while its function is removed", b.Target)
	}
	switch f.fate {
	case callFails:
		return nil, &actor.InvokeError{Reason: actor.ReasonStatus, HTTPStatus: 500, Err: errors.New("the function failed")}
	case callUnreached:
		return nil, &actor.InvokeError{Kind: actor.Unreachable, Reason: actor.ReasonStatus, Err: errors.New("unreachable")}
	case callHangs:
		return nil, &actor.InvokeError{Reason: actor.ReasonTimeout, Err: errors.New("time-out")}
	case callRuns:
	}
	if missing := entriesMissing(b); len(missing) > 0 {
		f.w.hit(Entries)
		return nil, &actor.MissingEntries{Names: missing}
	}
	id := strconv.Itoa(len(f.calls) + 1)
	c := &call{id: id, target: b.Target, inputs: b.Envelopes, state: b.State, entries: b.Entries, from: f.from}
	run := &invocation{f: f, c: c, rnd: f.w.rnd, e: &actor.Effects{}, state: b.State}
	silent := true
	for i := range b.Envelopes {
		o := readOp(b.Envelopes[i].Value)
		if o.Do == "poison" && !f.w.mends(b.Target) {
			if len(b.Envelopes) > 1 {
				f.w.hit(Split)
			}
			return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonStatus, Err: errors.New("poison")}
		}
		silent = silent && o.Do == "silent"
	}
	f.calls[id] = c
	if silent {
		c.silent, c.effects = true, &actor.Effects{}
		f.quiet[inputNames(b.Envelopes)] = c
		f.w.log(nil, "call", "%s: call %s of %s answers nothing", b.Target.ID, id, inputNames(b.Envelopes))
		return nil, nil
	}
	for i := range b.Envelopes {
		o := readOp(b.Envelopes[i].Value)
		run.apply(o)
		run.answer(&b.Envelopes[i], o)
	}
	run.e.Mutations = append(run.e.Mutations, actor.Mutation{Name: "#" + id, Delete: true})
	c.effects = run.e
	f.w.log(nil, "call", "%s: call %s of %s: %d sends, %d delayed, %d egress, %d mutations", b.Target.ID, id,
		inputNames(b.Envelopes), len(run.e.Sends), len(run.e.Delayed), len(run.e.Egress), len(run.e.Mutations))
	return run.e, nil
}

// entriesMissing are the entries that the messages' operations read and the
// batch doesn't have.
func entriesMissing(b *actor.Batch) (names []string) {
	for i := range b.Envelopes {
		if o := readOp(b.Envelopes[i].Value); o.Do == "entry" && !slices.Contains(b.Entries, o.entry()) {
			names = append(names, o.entry())
		}
	}
	return names
}

// entry is the entry that an operation is about.
func (o *op) entry() string { return "t/" + strconv.Itoa(o.N%4) }

func inputNames(list []actor.Envelope) string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = readOp(list[i].Value).ID
	}
	return strings.Join(names, ",")
}

// invocation is a call that is being answered.
type invocation struct {
	f     *functions
	c     *call
	rnd   *rand.Rand
	e     *actor.Effects
	state actor.State
	made  int
}

func (v *invocation) message(o op, do string, n int) op {
	v.made++
	return op{ID: v.c.id + "." + strconv.Itoa(v.made), Do: do, Hops: o.Hops - 1, N: n}
}

func (v *invocation) get(name string) int {
	s, _ := v.state.Get(name)
	n, _ := strconv.Atoi(string(s.Value.Data))
	return n
}

func (v *invocation) set(name string, n int) {
	value := actor.Value{Type: "sim/int", Data: []byte(strconv.Itoa(n))}
	v.state = v.state.With(actor.StateValue{Name: name, Value: value})
	v.e.Mutations = append(v.e.Mutations, actor.Mutation{Name: name, Value: value})
}

func (v *invocation) clear(name string) {
	v.state = v.state.Without(name)
	v.e.Mutations = append(v.e.Mutations, actor.Mutation{Name: name, Delete: true})
}

// renew may find nothing to renew.
func (v *invocation) renew(name string, lifetime time.Duration) {
	v.e.Mutations = append(v.e.Mutations, actor.Mutation{Name: name, Renew: true, ExpireAfter: lifetime})
}

func (v *invocation) send(to actor.Address, o op) {
	v.e.Sends = append(v.e.Sends, actor.Send{Target: to, Value: o.value()})
}

func (v *invocation) emit(text string) {
	v.made++
	v.e.Egress = append(v.e.Egress, actor.EgressMessage{
		ID: actor.TypeName{Namespace: "sim", Name: "out"}, Key: v.c.target.ID,
		Value: actor.Value{Type: "sim/text", Data: []byte(v.c.id + "." + strconv.Itoa(v.made) + " " + text)},
	})
}

func (v *invocation) delay(ms int, to actor.Address, o op, token string) {
	v.e.Delayed = append(v.e.Delayed, actor.Delayed{Delay: time.Duration(ms) * time.Millisecond, Target: to, Value: o.value(), Token: token})
}

func (v *invocation) cancel(token string) {
	v.e.Delayed = append(v.e.Delayed, actor.Delayed{Cancel: true, Token: token})
}

// apply does what a message asks for.
func (v *invocation) apply(o op) {
	self := number(v.c.target)
	next := address((self*7 + o.Hops + o.N) % v.f.w.plan.Knobs.Addresses)
	more := o.Hops > 0
	switch o.Do {
	case "count", "leaf":
		v.set("n", v.get("n")+1)
		v.emit("count " + strconv.Itoa(v.get("n")))
	case "transfer":
		if more {
			v.set("balance", v.get("balance")-1-o.N)
			v.send(next, v.message(o, "credit", 1+o.N))
		}
	case "credit":
		v.set("balance", v.get("balance")+o.N)
	case "chain", "self", "emit":
		v.emit(o.Do)
		if o.Do == "self" {
			next = v.c.target
		}
		if more {
			v.send(next, v.message(o, o.Do, o.N))
		}
	case "fan":
		for i := range 1 + o.N {
			v.send(address(i%v.f.w.plan.Knobs.Addresses), v.message(o, "leaf", 0))
		}
	case "put":
		v.set("x", o.N)
		if more {
			v.send(v.c.target, v.message(o, "clear", 0))
		}
	case "lease", "renew":
		v.applyLease(o, more)
	case "entry", "blind", "drop":
		v.applyEntry(o)
	case "clear":
		v.clear("x")
		v.clear("n")
	case "big":
		for range 2 + o.N/3 {
			m := v.message(o, "leaf", 0)
			m.Pad = strings.Repeat("x", 400)
			v.send(next, m)
		}
	case "badtarget":
		if o.N == 0 && !v.f.w.mends(v.c.target) {
			v.send(actor.Address{}, v.message(o, "leaf", 0))
		}
	case "dice":
		v.dice(o, next)
	default:
		v.applyTimers(o, next, more)
	}
}

// applyLease does something with a state that expires.
func (v *invocation) applyLease(o op, more bool) {
	if o.Do == "renew" {
		v.renew("lease", time.Duration(1+o.N*o.N*o.N)*time.Millisecond)
		if more {
			v.delay(40*o.N, v.c.target, v.message(o, "renew", o.N), "")
		}
		return
	}
	v.set("lease", o.N)
	v.e.Mutations[len(v.e.Mutations)-1].ExpireAfter = time.Duration(1+o.N*o.N*o.N) * time.Millisecond
	if more {
		v.delay(10*o.N, v.c.target, v.message(o, "count", 0), "")
	}
}

// applyEntry does something with an entry of a table.
func (v *invocation) applyEntry(o op) {
	switch o.Do {
	case "entry": // reads it
		v.set(o.entry(), v.get(o.entry())+1)
		v.emit(o.entry() + " " + strconv.Itoa(v.get(o.entry())))
		if o.N > 7 {
			v.e.Mutations[len(v.e.Mutations)-1].ExpireAfter = time.Duration(1+o.N*o.N) * time.Millisecond
		}
	case "blind":
		v.set(o.entry(), 100*o.N)
	case "drop":
		v.clear(o.entry())
	}
}

// dice does something else each time it is called.
func (v *invocation) dice(o op, next actor.Address) {
	for range v.rnd.IntN(3) {
		v.send(next, v.message(o, "leaf", 0))
	}
	if v.rnd.IntN(2) == 0 {
		v.set("x", v.rnd.IntN(100))
	}
	switch v.rnd.IntN(4) {
	case 0:
		v.cancel("k0")
	case 1:
		v.cancel("k1")
	}
}

func (v *invocation) applyTimers(o op, next actor.Address, more bool) {
	token := fmt.Sprintf("k%d", o.N%2)
	switch o.Do {
	case "delay":
		if more {
			v.delay(10*o.N*o.N, next, v.message(o, "delay", o.N), "")
		}
		v.emit("delay")
	case "set": // in place of a pending one
		v.cancel(token)
		v.delay(5*o.N*o.Hops*o.Hops, next, v.message(o, "leaf", 0), token)
	case "cancel":
		v.cancel(token)
		v.emit("cancel")
	case "race": // fails while the token is in use
		v.delay(30*o.N, next, v.message(o, "cancel", o.N), token)
		if more {
			v.send(v.c.target, v.message(o, "cancel", o.N))
		}
	}
}
