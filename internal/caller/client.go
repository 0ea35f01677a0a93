package caller

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jetfn/jetfn/actor"
)

var (
	// ErrUnknown means that a message may be stored, or may not.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTimeout means that no answer came in time. The call goes on.
	ErrTimeout = errors.New("no answer in time")
	// ErrEnded means that no answer can come to this worker any more. The call
	// goes on.
	ErrEnded = errors.New("the worker ends")
	// ErrMismatch means that the key was used with another value before.
	ErrMismatch = errors.New("the idempotency key was used for another value")
	// ErrNotFound means that no call with this id is remembered.
	ErrNotFound = errors.New("no such call")
)

// Message is what a Client puts into a mailbox.
type Message struct {
	Target actor.Address
	Caller actor.Address
	Value  actor.Value
	Trace  actor.Trace
}

// Mailboxes are the way to functions.
type Mailboxes interface {
	// Partitions is the application's number of partitions.
	Partitions() (int, error)
	// Put stores m durably. If its error wraps ErrUnknown, m may be stored
	// nevertheless, else it is not.
	Put(ctx context.Context, m *Message) error
}

// Request is a call, or a send with a key.
type Request struct {
	Target actor.Address
	Value  actor.Value
	Trace  actor.Trace
	// Key makes requests with the same one, for the same target, one request
	// for a day. Empty: each is one of its own.
	Key string
	// Later asks a call not to wait for the answer; Look gets it.
	Later bool
	// Delay postpones the message of a send, from when it is stored.
	Delay time.Duration
}

// Answer is the answer to a call.
type Answer struct {
	ID string // of the call
	// Pending means that there is no answer yet.
	Pending bool
	Value   actor.Value    // an empty Type: none
	Failure *actor.Failure // the message was given up; nil: it wasn't
}

// Client calls functions and waits for their answers.
type Client struct {
	Desk      *Desk
	Mailboxes Mailboxes
}

// Call calls a function. It returns when the answer is there, or ctx is done,
// which must have a deadline.
func (c *Client) Call(ctx context.Context, r *Request) (Answer, error) {
	if r.Key == "" && !r.Later {
		return c.plain(ctx, r)
	}
	kind, key := "k", r.Key
	if key == "" {
		kind, key = "a", rand.Text()
	}
	id, err := c.kept(kind, r.Target, key)
	if err != nil {
		return Answer{}, err
	}
	got, err := c.ask(ctx, id, &request{what: whatCall, target: r.Target, value: r.Value, later: r.Later}, r.Trace)
	return got.public(id, err)
}

// Send stores a message, once for its key, and returns where the first request
// with that key was stored.
func (c *Client) Send(ctx context.Context, r *Request) (actor.InputID, error) {
	id, err := c.kept("s", r.Target, r.Key)
	if err != nil {
		return actor.InputID{}, err
	}
	got, err := c.ask(ctx, id, &request{what: whatSend, target: r.Target, value: r.Value, delay: r.Delay}, r.Trace)
	out, err := got.public(id, err)
	if err == nil && out.Failure != nil {
		err = fmt.Errorf("send with a key: %s", out.Failure.Error)
	}
	return got.input, err
}

// Look returns the answer to the kept call with an id.
func (c *Client) Look(ctx context.Context, id string) (Answer, error) {
	if len(id) < 2 || id[:2] != "k-" && id[:2] != "a-" {
		return Answer{}, ErrNotFound
	}
	got, err := c.ask(ctx, actor.Address{Type: actor.CallerType(), ID: id}, &request{what: whatLook}, actor.Trace{})
	return got.public(actor.Address{ID: id}, err)
}

// plain makes a call that nothing remembers.
func (c *Client) plain(ctx context.Context, r *Request) (Answer, error) {
	wait, err := c.Desk.Open()
	if err != nil {
		return Answer{}, err
	}
	defer wait.Close()
	out := Answer{ID: wait.Address().ID}
	e, err := c.exchange(ctx, wait, &Message{Target: r.Target, Value: r.Value, Trace: r.Trace})
	switch {
	case err != nil:
		return out, err
	case e.Caller.IsZero() && e.Value.Type == actor.FailureType:
		out.Failure, err = failureOf(e.Value)
	default:
		out.Value = e.Value
	}
	return out, err
}

// ask sends a request to a kept caller and returns what it says.
func (c *Client) ask(ctx context.Context, id actor.Address, r *request, trace actor.Trace) (answer, error) {
	wait, err := c.Desk.Open()
	if err != nil {
		return answer{}, err
	}
	defer wait.Close()
	if deadline, ok := ctx.Deadline(); ok {
		r.until = deadline.UnixMilli()
	}
	e, err := c.exchange(ctx, wait, &Message{Target: id, Value: r.encode(), Trace: trace})
	switch {
	case err != nil:
		return answer{}, err
	case e.Value.Type == actor.FailureType: // of our own function
		return answer{status: statusFailed, value: e.Value}, nil
	}
	return decodeAnswer(e.Value.Data)
}

// exchange stores m and waits for the answer.
func (c *Client) exchange(ctx context.Context, wait *Wait, m *Message) (actor.Envelope, error) {
	m.Caller = wait.Address()
	if err := c.Mailboxes.Put(ctx, m); err != nil && !errors.Is(err, ErrUnknown) {
		return actor.Envelope{}, err
	}
	select {
	case e := <-wait.answer:
		return e, nil
	case <-wait.end:
		return actor.Envelope{}, ErrEnded
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return actor.Envelope{}, ErrTimeout
		}
		return actor.Envelope{}, fmt.Errorf("%w: %w", ErrTimeout, ctx.Err())
	}
}

// public is what the answer means.
func (a *answer) public(id actor.Address, err error) (Answer, error) {
	out := Answer{ID: id.ID}
	if err != nil {
		return out, err
	}
	switch a.status {
	case statusOpen:
		out.Pending = true
	case statusAnswered, statusStored:
		out.Value = a.value
	case statusFailed:
		out.Failure, err = failureOf(a.value)
	case statusUnknown:
		err = ErrNotFound
	case statusMismatch:
		err = ErrMismatch
	case statusBusy:
		err = fmt.Errorf("%w: %d clients wait for this one", ErrBusy, maxWaiting)
	default:
		err = fmt.Errorf("answer of status %d, which only a newer jetfn knows", a.status)
	}
	return out, err
}

func failureOf(v actor.Value) (*actor.Failure, error) {
	f, err := actor.ParseFailure(v)
	return &f, err
}

// kept is the address of the caller for a key. It is in the partition of the
// target: what a client is told of where its message is, is true.
func (c *Client) kept(kind string, target actor.Address, key string) (actor.Address, error) {
	n, err := c.Mailboxes.Partitions()
	if err != nil {
		return actor.Address{}, err
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + target.Key() + "\x00" + key))
	base := kind + "-" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:32] + "-"
	want := target.Partition(n)
	id := base + "0"
	for i := 1; actor.PartitionOf(id, n) != want && i < 64*n; i++ {
		id = base + strconv.Itoa(i)
	}
	return actor.Address{Type: actor.CallerType(), ID: id}, nil
}

// DefaultTimeout is how long a call waits for its answer if nothing else is
// said, and MaxTimeout how long at most.
const (
	DefaultTimeout = 30 * time.Second
	MaxTimeout     = 10 * time.Minute
)
