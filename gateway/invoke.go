package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// maxRounds is how often one Invoke sends its batch, since the function asks
// for states that it hadn't declared before.
const maxRounds = 16

// errCallTimeout is the cause when Transport.Call is over.
var errCallTimeout = errors.New("the call's time is over")

// remote is a function at an endpoint.
type remote struct {
	endpoint *Endpoint
	request  *http.Request // what all calls have in common; nil: the URL is none
	head     []byte        // the same as bytes, for plain HTTP; nil: it isn't
	name     string        // the URL without credentials
	states   *registration
}

// Invoke calls the function with b. It sends the batch again, with more
// states, while the function asks for it. Its errors are *actor.InvokeError.
func (r *remote) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > r.endpoint.transport.Call {
		limited, cancel := context.WithTimeoutCause(ctx, r.endpoint.transport.Call, errCallTimeout)
		defer cancel()
		ctx = limited
	}
	leave, err := r.states.enter(ctx)
	if err != nil {
		return nil, r.failed(b, &actor.InvokeError{Kind: actor.Unreachable, Reason: actor.ReasonTimeout, Err: err})
	}
	defer leave()
	for round := 1; ; round++ {
		states := r.states.known()
		answer, err := r.exchange(ctx, b, states)
		if err != nil {
			return nil, err
		}
		if !answer.incomplete {
			r.states.admitAll()
			if err := checkMutations(answer.effects.Mutations, states); err != nil {
				return nil, r.invalid(b, err)
			}
			answer.effects.Mutations = lifetimes(answer.effects.Mutations, states, b.State)
			r.states.entryLifetimes(answer.effects.Mutations)
			return answer.effects, nil
		}
		missing, entries := divide(answer.missing)
		if len(entries) > 0 {
			return nil, r.lacks(b, missing, entries)
		}
		if err := r.learn(missing, states, round); err != nil {
			return nil, r.invalid(b, err)
		}
	}
}

// lacks is the wish to be called again with entries, and with states that are
// declared at the same time.
func (r *remote) lacks(b *actor.Batch, missing, entries []stateSpec) error {
	names := make([]string, len(entries))
	for i := range entries {
		if entries[i].expireMode == expireAfterInvoke {
			return r.invalid(b, forbidden(actor.ReasonProtocol,
				fmt.Errorf("entry %q: entries can expire after a write only", entries[i].name)))
		}
		names[i] = entries[i].name
	}
	if err := r.states.register(missing); err != nil {
		return r.invalid(b, err)
	}
	r.states.registerEntries(entries)
	r.states.admitAll()
	return &actor.MissingEntries{Names: names}
}

// exchange makes one call and decodes the answer.
func (r *remote) exchange(ctx context.Context, b *actor.Batch, states []stateSpec) (reply, error) {
	body, err := r.endpoint.codec.encode(b, states)
	if err != nil {
		return reply{}, r.invalid(b, err)
	}
	if limit := r.endpoint.maxPayload; int64(len(body)) > limit {
		return reply{}, r.failed(b, &actor.InvokeError{
			Kind: actor.Final, Reason: actor.ReasonLimit, Err: fmt.Errorf("the call takes %d bytes, the limit is %d", len(body), limit),
		})
	}
	data, callErr := r.call(ctx, b, body)
	if callErr != nil {
		return reply{}, r.failed(b, callErr)
	}
	answer, err := r.endpoint.codec.decode(data)
	if err != nil {
		return reply{}, r.invalid(b, withExcerpt(err, data))
	}
	return answer, nil
}

// learn registers the states that the function misses, and ends the exchange
// when it would go on for ever: sent are the states that it had got.
func (r *remote) learn(missing, sent []stateSpec, round int) error {
	if err := r.states.register(missing); err != nil {
		return err
	}
	news := 0
	for i := range missing {
		if _, ok := findSpec(sent, missing[i].name); !ok {
			news++
		}
	}
	switch {
	case news == 0:
		return garbled(errors.New("the function asks for states and names none that it hasn't got"))
	case round >= maxRounds:
		return garbled(fmt.Errorf("the function has asked for more states %d times in a row", round))
	}
	r.states.admitAll()
	r.endpoint.log.Debug().Str("url", r.name).Int("states", news).Msg("states declared")
	return nil
}

// call posts body and returns the body of a good answer.
func (r *remote) call(ctx context.Context, b *actor.Batch, body []byte) ([]byte, *actor.InvokeError) {
	if r.request == nil {
		return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonBadAddress, Err: fmt.Errorf("%s is no URL", r.name)}
	}
	var silent context.CancelCauseFunc // ends a call whose answer pauses; nil: it may
	if r.endpoint.transport.Read > 0 {
		ctx, silent = context.WithCancelCause(ctx)
		defer silent(nil)
	}
	header := headerOf(b)
	told := func(int, error) {}
	if b.Span.Exchanges != nil {
		var here actor.Trace
		here, told = b.Span.Exchanges.Begin(r.name)
		header.add("Traceparent", here.Parent)
	}
	stage := &stage{endpoint: r.endpoint}
	resp, short, err := r.send(ctx, header, body, stage)
	switch {
	case err != nil:
		failure := lost(ctx, stage, err)
		told(0, failure)
		return nil, failure
	case resp == nil:
		told(http.StatusOK, nil)
		return short, nil
	}
	data, failure := r.answer(ctx, silent, resp)
	if failure != nil {
		told(resp.StatusCode, failure)
		return nil, failure
	}
	told(resp.StatusCode, nil)
	return data, nil
}

// answer reads the body of a good answer.
func (r *remote) answer(ctx context.Context, silent context.CancelCauseFunc, resp *http.Response) ([]byte, *actor.InvokeError) {
	defer resp.Body.Close() //nolint:errcheck // whatever is left is of no interest
	var body io.Reader = resp.Body
	if silent != nil {
		body = &silenceLimit{body: body, limit: r.endpoint.transport.Read, cancel: silent}
	}
	answer, err := decompressed(resp, body)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, statusFailure(resp, answer)
	}
	if err != nil {
		return nil, &actor.InvokeError{Reason: actor.ReasonProtocol, HTTPStatus: resp.StatusCode, Err: err}
	}
	if got := resp.Header.Get("Content-Type"); !isOctetStream(got) {
		return nil, &actor.InvokeError{
			Reason: actor.ReasonProtocol, HTTPStatus: resp.StatusCode,
			Err: typeError(resp, answer),
		}
	}
	data, readErr := readBody(ctx, resp, answer, r.endpoint.maxPayload)
	if readErr != nil {
		return nil, readErr
	}
	return data, nil
}

// failed adds to a failure where and for whom it happened.
func (r *remote) failed(b *actor.Batch, e *actor.InvokeError) *actor.InvokeError {
	e.Endpoint = r.name
	e.Err = fmt.Errorf("call %s at %s: %w", b.Target.Type, r.name, e.Err)
	return e
}

// invalid makes a failure of an *invalidError.
func (r *remote) invalid(b *actor.Batch, err error) *actor.InvokeError {
	e := &actor.InvokeError{Reason: actor.ReasonProtocol, Err: err}
	var invalid *invalidError
	if errors.As(err, &invalid) {
		e.Reason = invalid.reason
		if invalid.final {
			e.Kind = actor.Final
		}
	}
	return r.failed(b, e)
}
