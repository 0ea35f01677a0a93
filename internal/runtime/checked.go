package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// checked holds a function to the module: what it sends to egresses must be
// declared, and statuses that the module calls final are.
type checked struct {
	function actor.Function
	egresses *egresses
	final    []int
	endpoint string
	counters *counters
	own      bool // it is jetfn's
}

// Invoke implements actor.Function.
func (c *checked) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	began := time.Now()
	c.counters.begin(b)
	effects, err := c.invoke(ctx, b)
	lacks := (*actor.MissingEntries)(nil)
	failed := err != nil && !errors.As(err, &lacks)
	c.counters.end(time.Since(began), failed)
	if t := c.counters.worker.tails; failed && t.wanted() {
		t.failed(b, err)
	}
	return effects, err
}

func (c *checked) invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	effects, err := c.function.Invoke(ctx, b)
	if err != nil {
		return nil, c.judge(err)
	}
	if effects == nil {
		effects = &actor.Effects{}
	}
	for i := range effects.Egress {
		m, err := c.egresses.admit(effects.Egress[i])
		if err != nil {
			return nil, &actor.InvokeError{
				Kind: actor.Final, Reason: reasonOf(err), Endpoint: c.endpoint,
				Err: fmt.Errorf("function %s: %w", b.Target.Type, err),
			}
		}
		effects.Egress[i] = m
	}
	if c.own {
		return effects, nil
	}
	for i := range effects.Sends {
		effects.Sends[i].Caller = nil // only jetfn's own may name another
		if err := c.reaches(b.Target, effects.Sends[i].Target); err != nil {
			return nil, err
		}
	}
	for i := range effects.Delayed {
		if err := c.reaches(b.Target, effects.Delayed[i].Target); err != nil {
			return nil, err
		}
	}
	return effects, nil
}

// reaches refuses messages of users' functions to jetfn's own, but for answers
// to callers.
func (c *checked) reaches(self, target actor.Address) error {
	if target.Type.Namespace != actor.OwnNamespace || target.Type == actor.CallerType() {
		return nil
	}
	return &actor.InvokeError{
		Kind: actor.Final, Reason: actor.ReasonBadAddress, Endpoint: c.endpoint,
		Err: fmt.Errorf("function %s sends to %s: functions of the namespace %s are jetfn's own", self.Type, target, actor.OwnNamespace),
	}
}

// judge makes a status final that the module says is.
func (c *checked) judge(err error) error {
	failed := (*actor.InvokeError)(nil)
	if !errors.As(err, &failed) || failed.HTTPStatus == 0 || !slices.Contains(c.final, failed.HTTPStatus) {
		return err
	}
	final := *failed
	final.Kind = actor.Final
	return &final
}

func reasonOf(err error) string {
	if errors.Is(err, errUndeclared) {
		return actor.ReasonUnknownEgress
	}
	return actor.ReasonBadType
}
