package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/gateway"
)

// ErrMismatch means that records or states are not what the messages should
// have caused.
var ErrMismatch = errors.New("the results are wrong")

// sampled is how many keys have their state checked.
const sampled = 100

// verify compares what was sent with what came out and with the state.
func verify(ctx context.Context, base string, sent []uint64, l *ledger, r *reader) error {
	published, acked, delivered, problem := l.counts()
	var problems []error
	if problem != nil {
		problems = append(problems, problem)
	}
	if acked != published || delivered != published {
		problems = append(problems, fmt.Errorf("%d messages published, %d acknowledged, %d records", published, acked, delivered))
	}
	r.mu.Lock()
	last, wrong, texts := r.last, r.wrong, r.problems
	r.mu.Unlock()
	if wrong > 0 {
		problems = append(problems, fmt.Errorf("%d wrong records, such as: %s", wrong, strings.Join(texts, "; ")))
	}
	sent = slices.Clone(sent)
	for key := range sent {
		sent[key] -= l.refusedOf(key)
	}
	for key, n := range sent {
		if last[key] != n {
			problems = append(problems, fmt.Errorf("key %d: %d messages, but its last record counts %d", key, n, last[key]))
			break
		}
	}
	for i := range min(sampled, len(sent)) {
		key := i * len(sent) / min(sampled, len(sent))
		if err := verifyState(ctx, base, key, sent[key]); err != nil {
			problems = append(problems, err)
			break
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrMismatch, errors.Join(problems...))
	}
	return nil
}

func verifyState(ctx context.Context, base string, key int, want uint64) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/state/"+target(key).String(), nil)
	if err != nil {
		return fmt.Errorf("read state of key %d: %w", key, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("read state of key %d: %w", key, err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	var state gateway.AddressState
	switch response.StatusCode {
	case http.StatusOK:
		err = json.NewDecoder(response.Body).Decode(&state)
	case http.StatusNotFound: // no state
	default:
		err = errors.New(response.Status)
	}
	if err != nil {
		return fmt.Errorf("read state of key %d: %w", key, err)
	}
	got, err := parseCount(state.Values[stateName].Value)
	if err != nil {
		return fmt.Errorf("read state of key %d: %w", key, err)
	}
	if got != want {
		return fmt.Errorf("key %d: %d messages, but its state is %d", key, want, got)
	}
	return nil
}
