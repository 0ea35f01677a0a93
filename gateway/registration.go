package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// defaultAloneFor is how long the first call of a function type keeps the
// others of that type waiting at most. Without an answer by then, they go too.
const defaultAloneFor = time.Second

// registration is what is known of one function type: the states that it
// declared. A state that was learnt stays for the registration's life.
type registration struct {
	aloneFor time.Duration
	// first holds a token while a call is made alone.
	first chan struct{}
	// open is closed once calls need not wait for one another.
	open     chan struct{}
	openOnce sync.Once

	mu    sync.Mutex
	specs []stateSpec // replaced, never modified
	// tables are the lifetimes of their entries, by name.
	tables map[string]lifetime
}

// newRegistration returns one that knows the states declared; nil means that
// the function will declare them.
func newRegistration(declared []stateSpec, aloneFor time.Duration) *registration {
	r := &registration{aloneFor: aloneFor, first: make(chan struct{}, 1), open: make(chan struct{}), specs: declared}
	if declared != nil {
		r.admitAll()
	}
	return r
}

// enter waits until a call may be made. The call has to end with leave.
func (r *registration) enter(ctx context.Context) (leave func(), err error) {
	free := func() {}
	select {
	case <-r.open:
		return free, nil
	default:
	}
	patience := time.NewTimer(r.aloneFor)
	defer patience.Stop()
	select {
	case <-r.open:
		return free, nil
	case r.first <- struct{}{}:
	case <-patience.C:
		r.admitAll()
		return free, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the first call: %w", context.Cause(ctx))
	}
	return func() { <-r.first }, nil
}

// admitAll ends the time of calls that are made alone. It is called once the
// states are learnt.
func (r *registration) admitAll() { r.openOnce.Do(func() { close(r.open) }) }

// known returns the states declared so far, in the order of their
// declaration. The slice is never modified.
func (r *registration) known() []stateSpec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.specs
}

// register adds the states that are missing. Of a known one only the type is
// compared: its expiration can't change.
func (r *registration) register(missing []stateSpec) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	specs := slices.Clone(r.specs)
	for _, m := range missing {
		old, ok := findSpec(specs, m.name)
		switch {
		case !ok:
			specs = append(specs, m)
		case old.typename != m.typename:
			return forbidden(actor.ReasonBadType,
				fmt.Errorf("state %q was declared with the type %s and now with %s", m.name, old.typename, m.typename))
		}
	}
	r.specs = specs
	return nil
}

func findSpec(specs []stateSpec, name string) (stateSpec, bool) {
	for i := range specs {
		if specs[i].name == name {
			return specs[i], true
		}
	}
	return stateSpec{}, false
}

// checkMutations reports the first mutation of a state that the function
// can't have, or with a type that the state doesn't have.
func checkMutations(mutations []actor.Mutation, specs []stateSpec) error {
	for i := range mutations {
		m := &mutations[i]
		spec, ok := findSpec(specs, m.Name)
		switch {
		case actor.IsEntry(m.Name):
		case !ok:
			return forbidden(actor.ReasonProtocol, fmt.Errorf(
				"state %q is changed but was never declared; the function declares its states, or the module those of protocol 2.x", m.Name))
		case !m.Delete && m.Value.Type != spec.typename:
			return forbidden(actor.ReasonBadType,
				fmt.Errorf("state %q has the type %s but is set to a value of type %s", m.Name, spec.typename, m.Value.Type))
		}
	}
	return nil
}
