package gateway

import (
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"sync/atomic"

	"github.com/rs/zerolog"
)

const defaultMaxBodies = 256 << 20

// errCrowded means that the bodies of other requests take all the room.
var errCrowded = errors.New("the bodies of other requests take all the room there is; try again")

// door is what every request of a listener passes: it bounds what all of them
// hold together, answers for a handler that panics, and logs what was refused.
type door struct {
	log      zerolog.Logger
	refusals *refusals
	bodies   *budget
}

func newDoor(access Access) door {
	limit := access.MaxBodies
	if limit == 0 {
		limit = defaultMaxBodies
	}
	return door{log: access.Log, refusals: newRefusals(access.Log), bodies: &budget{limit: limit}}
}

// pass serves r with serve.
func (d *door) pass(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	out := &response{ResponseWriter: w}
	if r.ContentLength != 0 && r.Body != nil {
		body := &countedBody{ReadCloser: r.Body, budget: d.bodies}
		defer body.release()
		r.Body = body
	}
	defer d.rescue(out, r)
	serve(out, r)
	if out.problem != nil {
		d.refusals.note(r.RemoteAddr, out.problem)
	}
}

// rescue answers for a handler that panicked. It must be deferred.
func (d *door) rescue(w *response, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) // the handler's way to cut the connection
	}
	d.log.Error().Any("cause", cause).Bytes("stack", debug.Stack()).Msg("a request's handler panicked")
	if w.begun {
		panic(http.ErrAbortHandler) // the answer must not look complete
	}
	p := problem(internal, "an error in jetfn; its log has the details")
	p.Accepted = r.Method != http.MethodGet && r.Method != http.MethodHead
	p.write(w, r)
}

// response is an answer that knows whether it has begun.
type response struct {
	http.ResponseWriter

	begun   bool
	problem *Problem // nil: it is none
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.begun = w.begun || status >= http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *response) Flush() {
	w.begun = true
	_ = http.NewResponseController(w.ResponseWriter).Flush() // whoever can't buffers
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// budget is how much requests hold together.
type budget struct {
	limit int64
	held  atomic.Int64
}

// countedBody counts what is read of a body until it is released.
type countedBody struct {
	io.ReadCloser

	budget *budget
	own    int64
}

// Read fails with errCrowded when there is no room.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.own += int64(n)
	if b.budget.held.Add(int64(n)) > b.budget.limit {
		return n, errCrowded
	}
	return n, err
}

func (b *countedBody) release() { b.budget.held.Add(-b.own) }
