//go:build e2e && linux

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	powerWriters   = 32
	powerAddresses = 2 // of each writer
	powerLimit     = 5 * time.Second
	powerDelay     = 5 * time.Second // of delayed messages, at most
	powerModule    = `
kind: io.statefun.endpoints.v2/http
spec: {functions: e2e/*, urlPathTemplate: "%s"}
---
kind: io.jetfn.nats.v1/ingress
spec: {id: e2e/in, targets: [e2e/tally]}
---
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/tallied}
`
)

// powerFunctions have a part in everything that must survive: state, egress,
// messages to other functions, delayed ones, and answers. All that they are
// told ends at e2e/tally, as "<id> <text> <number>".
func powerFunctions() functions {
	return functions{
		"e2e/tally": tally,
		"e2e/forward": func(b batch) (e effects, err error) {
			for _, inv := range b.invocations {
				id, _, _ := strings.Cut(inv.value.text(), " ")
				e.sends = append(e.sends, send{target: address{"e2e", "tally", id}, value: inv.value})
			}
			return e, nil
		},
		"e2e/remind": func(b batch) (e effects, err error) {
			for _, inv := range b.invocations {
				var id, text string
				var number, millis int
				if _, err := fmt.Sscan(inv.value.text(), &id, &text, &number, &millis); err != nil {
					return e, err
				}
				e.delayed = append(e.delayed, delayed{
					after: time.Duration(millis) * time.Millisecond, target: address{"e2e", "tally", id}, value: inv.value, token: text,
				})
			}
			return e, nil
		},
	}
}

// tally counts the messages of each address and adds their numbers up. It
// emits "<count> <text>" for each, and answers those that ask.
func tally(b batch) (e effects, err error) {
	seen, known := b.states["seen"]
	sum, summed := b.states["sum"]
	if !known || !summed {
		return effects{missing: []string{"seen", "sum"}}, nil
	}
	n, total := seen.long(), sum.long()
	for _, inv := range b.invocations {
		var id, text string
		var number uint64
		if _, err := fmt.Sscan(inv.value.text(), &id, &text, &number); err != nil {
			return e, err
		}
		n++
		total += number
		record := fmt.Sprintf("%d %s %d", n, text, number)
		e.egress = append(e.egress, keyed("e2e", "tallied", b.target.id, []byte(record)))
		if inv.caller != nil && inv.caller.namespace == "jetfn" {
			e.sends = append(e.sends, send{target: *inv.caller, value: textValue(record)})
		}
	}
	e.set = map[string]value{"seen": longValue(n), "sum": longValue(total)}
	return e, nil
}

// fate is what a sender knows of its message.
type fate int

const (
	unknown fate = iota // it may take effect, once
	acknowledged
	refused // it must not
)

// powerMessage is one that was sent, and what its sender was told.
type powerMessage struct {
	id     string // of its address
	text   string // no other one has it
	number int
	way    string
	delay  time.Duration
	sent   time.Time
	told   time.Time
	fate   fate
	answer string // of a call
}

func (m *powerMessage) body() string {
	return fmt.Sprintf("%s %s %d %d", m.id, m.text, m.number, m.delay.Milliseconds())
}

// powerLoad sends messages in all ways there are, until it is held.
type powerLoad struct {
	t       *testing.T
	name    string // begins the id of each address
	a       *app
	js      jetstream.JetStream
	running sync.RWMutex // a writer sends under its read half
	wg      sync.WaitGroup
	cancel  context.CancelFunc

	mu       sync.Mutex
	messages map[string]*powerMessage // by text
	order    []*powerMessage
	repeated int
}

func startPowerLoad(t *testing.T, a *app, name string, seed uint64) *powerLoad {
	t.Helper()
	_, js := a.connect(t, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	l := &powerLoad{t: t, name: name, a: a, js: js, messages: map[string]*powerMessage{}}
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	for w := range powerWriters {
		l.wg.Go(func() { l.write(ctx, w, rand.New(rand.NewPCG(seed, uint64(w)))) })
	}
	t.Cleanup(func() {
		cancel()
		l.wg.Wait()
	})
	return l
}

// hold lets every writer end what it does, and returns when all have; go on
// lets them go on.
func (l *powerLoad) hold()   { l.running.Lock() }
func (l *powerLoad) resume() { l.running.Unlock() }

// end is for a load that is held, and ends it.
func (l *powerLoad) end() {
	l.cancel()
	l.running.Unlock()
	l.wg.Wait()
}

func (l *powerLoad) id(writer, n int) string { return fmt.Sprintf("%s-%d-%d", l.name, writer, n) }

func (l *powerLoad) write(ctx context.Context, writer int, dice *rand.Rand) {
	ways := []string{"publish", "publish", "post", "http", "forward", "forward", "ingress", "call", "delayed", "remind"}
	for n := 1; ctx.Err() == nil; n++ {
		m := &powerMessage{
			id: l.id(writer, dice.IntN(powerAddresses)), number: n, way: ways[dice.IntN(len(ways))],
			text: fmt.Sprintf("%s:%d-%d", l.name, writer, n), sent: time.Now(),
		}
		if m.way == "delayed" || m.way == "remind" {
			m.delay = time.Duration(100+dice.IntN(int(powerDelay.Milliseconds()))) * time.Millisecond
		}
		l.insist(ctx, m, m.way != "post" && dice.IntN(3) > 0)
	}
}

// insist sends a message, again and again if it is to be repeated until it is
// acknowledged, with the same id.
func (l *powerLoad) insist(ctx context.Context, m *powerMessage, repeat bool) {
	l.running.RLock()
	defer l.running.RUnlock()
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	l.messages[m.text] = m
	l.order = append(l.order, m)
	l.mu.Unlock()
	for ctx.Err() == nil {
		got, answer := l.attempt(ctx, m)
		l.mu.Lock()
		m.told, m.fate, m.answer = time.Now(), got, answer
		l.mu.Unlock()
		if got == acknowledged || !repeat {
			return
		}
		time.Sleep(20 * time.Millisecond)
		l.mu.Lock()
		l.repeated++
		m.fate = unknown
		l.mu.Unlock()
	}
}

func (l *powerLoad) attempt(ctx context.Context, m *powerMessage) (fate, string) {
	ctx, cancel := context.WithTimeout(ctx, powerLimit)
	defer cancel()
	switch m.way {
	case "http", "post":
		return l.post(ctx, m, "/v1/send/e2e/tally/"+m.id, http.StatusAccepted)
	case "call":
		return l.post(ctx, m, "/v1/call/e2e/tally/"+m.id+"?timeout=5s", http.StatusOK)
	}
	msg := nats.NewMsg(map[string]string{
		"publish": "t.fn.e2e.tally." + m.id,
		"delayed": "t.fn.e2e.tally." + m.id,
		"forward": "t.fn.e2e.forward.from-" + m.id,
		"remind":  "t.fn.e2e.remind.from-" + m.id,
		"ingress": "t.ingress.e2e.in." + m.id,
	}[m.way])
	msg.Data = []byte(m.body())
	if m.way == "delayed" {
		msg.Header.Set("Jetfn-Delay", m.delay.String())
	}
	_, err := l.js.PublishMsg(ctx, msg, jetstream.WithMsgID(m.text), jetstream.WithRetryAttempts(0))
	if err != nil {
		return unknown, ""
	}
	return acknowledged, ""
}

func (l *powerLoad) post(ctx context.Context, m *powerMessage, path string, want int) (fate, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.a.http+path, strings.NewReader(m.body()))
	if err != nil {
		l.t.Error(err)
		return unknown, ""
	}
	r.Header.Set("Content-Type", "text/plain")
	if m.way != "post" {
		r.Header.Set("Idempotency-Key", m.text)
	}
	response, err := httpClient.Do(r)
	if err != nil {
		return unknown, ""
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return unknown, ""
	case response.StatusCode == want && want == http.StatusOK:
		return acknowledged, string(answer)
	case response.StatusCode == want:
		return acknowledged, ""
	case strings.Contains(string(answer), `"accepted":false`):
		return refused, ""
	case response.StatusCode < http.StatusInternalServerError:
		l.t.Errorf("%s = %d %s", path, response.StatusCode, answer)
	}
	return unknown, ""
}

// again sends n messages once more that were acknowledged in the last 80
// seconds, each with its id. The two minutes in which ids are known begin when
// a message is stored.
func (l *powerLoad) again(n int) {
	l.mu.Lock()
	var recent []*powerMessage
	for i := len(l.order) - 1; i >= 0 && len(recent) < n; i-- {
		if m := l.order[i]; m.fate == acknowledged && m.way != "post" && time.Since(m.sent) < 80*time.Second {
			recent = append(recent, m)
		}
	}
	l.mu.Unlock()
	var wg sync.WaitGroup
	for w := range powerWriters {
		wg.Go(func() {
			for i := w; i < len(recent); i += powerWriters {
				m := recent[i]
				got, answer := l.attempt(l.t.Context(), m)
				for try := 1; got == unknown && try < 10; try++ { // on a busy machine
					got, answer = l.attempt(l.t.Context(), m)
				}
				if got != acknowledged || answer != m.answer {
					l.t.Errorf("%s by %s once more = %v %q, want it acknowledged, %q", m.text, m.way, got, answer, m.answer)
				}
			}
		})
	}
	wg.Wait()
}

// tallied is one record as it is stored at the egress.
type tallied struct {
	id     string // of the address
	record string
	jetfn  string // Jetfn-Id
	stored time.Time
}

// storedRecords reads the whole egress stream.
func storedRecords(ctx context.Context, js jetstream.JetStream) (records []tallied, err error) {
	stream, err := js.Stream(ctx, "T_EGRESS")
	if err != nil {
		return nil, err
	}
	last := stream.CachedInfo().State.LastSeq
	if last == 0 {
		return nil, nil
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if id, ok := strings.CutPrefix(m.Subject(), "t.egress.e2e.tallied."); ok {
			records = append(records, tallied{id: id, record: string(m.Data()), jetfn: m.Headers().Get("Jetfn-Id"), stored: meta.Timestamp})
		}
		if meta.Sequence.Stream >= last || meta.NumPending == 0 {
			return records, nil
		}
	}
}

// powerAudit compares what is stored with what senders know.
type powerAudit struct {
	l       *powerLoad
	count   map[string]int    // by address
	sum     map[string]uint64 // by address
	came    map[string]tallied
	latest  map[string]int // by address and line: the newest number
	ids     map[string]string
	unknown int
	losses  []error // of what was acknowledged
	errs    []error // what mustn't be, whatever was lost
}

func (a *powerAudit) failf(format string, args ...any) {
	if len(a.errs) < 10 {
		a.errs = append(a.errs, fmt.Errorf(format, args...))
	}
}

// audit checks the promise: what was acknowledged and is due took effect once,
// and nothing else did that must not. The load is held.
func (l *powerLoad) audit() (*powerAudit, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 60*time.Second)
	defer cancel()
	records, err := storedRecords(ctx, l.js)
	if err != nil {
		return nil, err
	}
	a := &powerAudit{l: l, count: map[string]int{}, sum: map[string]uint64{}, came: map[string]tallied{}, latest: map[string]int{}, ids: map[string]string{}}
	for _, r := range records {
		if strings.HasPrefix(r.id, l.name+"-") {
			a.record(r)
		}
	}
	a.senders()
	a.states()
	return a, errors.Join(append(slices.Clip(a.losses[:min(len(a.losses), 10)]), a.errs...)...)
}

func (a *powerAudit) record(r tallied) {
	place, rest, _ := strings.Cut(r.record, " ")
	text, number, _ := strings.Cut(rest, " ")
	a.count[r.id]++
	if place != strconv.Itoa(a.count[r.id]) {
		a.failf("record %d of %s is %q", a.count[r.id], r.id, r.record)
	}
	if other, ok := a.ids[r.jetfn]; ok || r.jetfn == "" {
		a.failf("%q of %s and %q have the same Jetfn-Id %q", r.record, r.id, other, r.jetfn)
	}
	a.ids[r.jetfn] = r.record
	m := a.l.messages[text]
	if m == nil || m.id != r.id || strconv.Itoa(m.number) != number {
		a.failf("%q of %s was never sent", r.record, r.id)
		return
	}
	if other, ok := a.came[text]; ok {
		a.failf("%s by %s took effect twice: %q and %q", text, m.way, other.record, r.record)
		return
	}
	a.came[text] = r
	a.sum[r.id] += uint64(m.number)
	if early := m.sent.Add(m.delay).Sub(r.stored); early > 0 {
		a.failf("%s by %s took effect %v too early", text, m.way, early)
	}
	if line := m.line(); line != "" {
		if a.latest[r.id+line] >= m.number {
			a.failf("%s by %s came after number %d, to %s", text, m.way, a.latest[r.id+line], r.id)
		}
		a.latest[r.id+line] = m.number
	}
}

// line names those messages of a sender to an address that must keep their
// order: they take the same way. Those with an Idempotency-Key have an address
// of their own on theirs.
func (m *powerMessage) line() string {
	switch m.way {
	case "publish", "post":
		return " direct"
	case "forward", "ingress":
		return " " + m.way
	default:
		return ""
	}
}

// overdue is how late a message may come when it is due.
const overdue = 2 * time.Second

func (a *powerAudit) senders() {
	for _, m := range a.l.order {
		r, came := a.came[m.text]
		switch {
		case m.fate == unknown:
			a.unknown++
		case m.fate == refused && came:
			a.failf("%s by %s took effect although it was refused", m.text, m.way)
		case m.fate == acknowledged && !came && time.Since(m.told) > m.delay+overdue:
			a.losses = append(a.losses, fmt.Errorf("%s by %s to %s was acknowledged and is lost", m.text, m.way, m.id))
		case m.fate == acknowledged && m.answer != "" && came && m.answer != r.record:
			a.losses = append(a.losses, fmt.Errorf("call %s was answered %q, and is stored as %q", m.text, m.answer, r.record))
		}
	}
}

func (a *powerAudit) states() {
	for w := range powerWriters {
		for n := range powerAddresses {
			id := a.l.id(w, n)
			seen, err := a.l.a.long(a.l.t, "e2e/tally", id, "seen")
			sum, err2 := a.l.a.long(a.l.t, "e2e/tally", id, "sum")
			if err := errors.Join(err, err2); err != nil {
				a.failf("state of %s: %w", id, err)
			} else if seen != uint64(a.count[id]) || sum != a.sum[id] {
				a.failf("state of %s = %d messages, sum %d; the egress has %d, %d", id, seen, sum, a.count[id], a.sum[id])
			}
		}
	}
}
