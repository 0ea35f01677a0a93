package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

// publishError is an error as JetStream answers it to a publish.
type publishError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *publishError) Error() string {
	return fmt.Sprintf("%s (JetStream error %d)", e.Description, e.ErrCode)
}

func tooMany() error {
	return &publishError{429, 10167, "too many requests: more messages wait to be stored than jetfn may hold; publish more slowly"}
}

func noFastBatches() error { return &publishError{400, 10205, "batch publish is disabled"} }

func notTaken() error {
	return fmt.Errorf("%w: %w", ErrClosed, &publishError{503, 10023, "jetfn is not open to messages now, this one is not stored; publish it again"})
}

// arrived takes a message from NATS.
func (g *gate) arrived(m *nats.Msg) {
	key, ok := g.app.names.keyOf(m.Subject)
	if !ok {
		return
	}
	o := &outside{
		packed:    packed{key: key, said: saidIn(m.Header), data: m.Data},
		partition: partitionOfKey(key, g.app.creation.Partitions),
		reply:     m.Reply,
	}
	o.said.msgID = m.Header.Get(headerMsgID) // JetStream knows no other spelling
	if err := unmet(m, g.stream); err != nil {
		g.answer(o, answer{outcome: actor.Refused, err: err})
		return
	}
	if a, now := g.take(o); now {
		g.answer(o, a)
		g.overloaded(a)
	}
}

// overloaded warns of refused messages, now and then.
func (g *gate) overloaded(a answer) {
	if e := (*publishError)(nil); !errors.As(a.err, &e) || e.Code != 429 || time.Since(g.warned) < gateWarnPause {
		return
	}
	g.warned = time.Now()
	g.app.cfg.Log.Warn().Int("limit", g.limit).Msg("more messages arrive than can be stored, publishers get error 429")
}

// unmet is why a message can't be taken: it asks for what a mailbox does not
// do, or expects another stream.
func unmet(m *nats.Msg, stream string) error {
	if strings.HasSuffix(m.Reply, fastBatchSuffix) {
		return noFastBatches()
	}
	for name := range m.Header {
		switch {
		case !strings.HasPrefix(name, "Nats-"):
		case name == "Nats-Expected-Stream":
			if want := m.Header.Get(name); want != "" && want != stream {
				return &publishError{400, 10060, "expected stream does not match"}
			}
		case strings.HasPrefix(name, "Nats-Expected-"):
			return &publishError{400, 10003, "jetfn stores outside messages together and can't check the header " + name + "; leave it out"}
		case name == headerRollup:
			return &publishError{400, 10111, "rollup not permitted"}
		case name == headerTTL:
			return &publishError{400, 10166, "per-message TTL is disabled"}
		case name == "Nats-Incr":
			return &publishError{400, 10168, "message counters is disabled"}
		case strings.HasPrefix(name, "Nats-Schedule"):
			return &publishError{400, 10188, "message schedules is disabled"}
		case strings.HasPrefix(name, "Nats-Batch-"):
			return &publishError{400, 10174, "atomic publish is disabled"}
		}
	}
	return nil
}

// answer tells the publisher of m what became of it.
func (g *gate) answer(m *outside, a answer) {
	switch {
	case m.done != nil:
		m.done(a)
	case m.reply != "":
		g.app.respond(m.reply, g.body(a))
	}
}

// respond answers a publisher, if it wants an answer.
func (a *App) respond(reply string, body []byte) {
	switch {
	case reply == "":
	case a.names.isInternal(reply):
		// The answer would be published with rights that its reader lacks.
		a.cfg.Log.Warn().Str("reply", reply).Msg("a publisher wants its answer on an internal subject, not answered")
	default:
		if err := a.nc.Publish(reply, body); err != nil {
			a.cfg.Log.Debug().Err(err).Msg("publisher not answered")
		}
	}
}

func (g *gate) body(a answer) []byte {
	if a.outcome == actor.Stored {
		b := make([]byte, 0, len(g.ack)+40)
		b = strconv.AppendUint(append(b, g.ack...), a.place.seq, 10)
		if a.duplicate {
			b = append(b, `,"duplicate":true`...)
		}
		return append(b, '}')
	}
	return g.app.refusal(g.stream, a.err)
}

// refusal is what stream would answer to a publish that it refuses.
func (a *App) refusal(stream string, err error) []byte {
	body, encodeErr := json.Marshal(struct {
		Error  *publishError `json:"error"`
		Stream string        `json:"stream"`
		Seq    uint64        `json:"seq"`
	}{asPublishError(err), stream, 0})
	if encodeErr != nil { // it can't be
		a.cfg.Log.Error().Err(encodeErr).Msg("answer to a publisher can't be written")
	}
	return body
}

// asPublishError makes the stream's refusal one that a publisher understands.
func asPublishError(err error) *publishError {
	if e := (*publishError)(nil); errors.As(err, &e) {
		return e
	}
	if e := (*jspub.ServerError)(nil); errors.As(err, &e) {
		return &publishError{503, e.Code, e.Description}
	}
	return &publishError{503, 10077, err.Error()}
}
