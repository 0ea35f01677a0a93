//go:build e2e

package e2e_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// suiteLimit is how long one step of a behaviour may take, on a machine that
// is busy with others.
const suiteLimit = 2 * time.Minute

func keepsState(t *testing.T, s *suite) {
	t.Helper()
	for _, text := range []string{"a", "b", "reset", "c"} {
		s.send(t, "counter", "state", text)
	}
	s.want(t, "state", "1 a", "2 b", "reset", "1 c")
	s.send(t, "counter", "state", "reset")
	s.want(t, "state", "reset")
	if view, err := s.state(t, "suite/counter", "state"); err == nil && len(view.Values) > 0 {
		t.Errorf("state after it was deleted = %+v, want none", view.Values)
	} else if err != nil && !errors.Is(err, errNoState) {
		t.Error(err)
	}
}

// keepsTypes tells absent values from zero ones.
func keepsTypes(t *testing.T, s *suite) {
	t.Helper()
	absent, set, zero := s.sdk.types()
	for _, step := range []struct{ verb, then string }{
		{"", absent}, {"set", set}, {"zero", zero}, {"clear", absent},
	} {
		if step.verb != "" {
			s.send(t, "types", "types", step.verb)
			s.want(t, "types", step.verb)
		}
		s.send(t, "types", "types", "get")
		s.want(t, "types", step.then)
		if step.verb == "set" {
			s.wantStored(t)
		}
	}
}

// wantStored looks at the states of suite/types from outside.
func (s *suite) wantStored(t *testing.T) {
	t.Helper()
	view, err := s.state(t, "suite/types", "types")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range s.sdk.stored() {
		got := view.Values[name]
		text := got.Text
		if text == "" {
			data, _ := base64.StdEncoding.DecodeString(got.Value)
			text = string(data)
		}
		if got.Type != want.typename || want.text != "" && text != want.text {
			t.Errorf("state %s = %s %q, want %s %q", name, got.Type, text, want.typename, want.text)
		}
	}
}

const hotMessages = 1_000

// countsHotAddress floods one address: its messages come in batches, each of
// which sees the state that the one before left.
func countsHotAddress(t *testing.T, s *suite) {
	t.Helper()
	s.flood(t, "counter", []string{"hot"}, hotMessages, numbered)
	want := make([]string, hotMessages)
	for i := range want {
		want[i] = fmt.Sprintf("%d m%d", i+1, i+1)
	}
	s.want(t, "hot", want...)
}

func numbered(n int) string { return fmt.Sprintf("m%d", n) }

// flood publishes messages to each of a function's ids, without waiting for
// each one's acknowledgement.
func (s *suite) flood(t *testing.T, function string, ids []string, each int, text func(int) string) {
	t.Helper()
	js, err := jetstream.New(s.js.Conn(), jetstream.WithPublishAsyncMaxPending(256))
	if err != nil {
		t.Fatal(err)
	}
	var acks []jetstream.PubAckFuture
	for n := 1; n <= each; n++ {
		for _, id := range ids {
			ack, err := js.PublishAsync("t.fn.suite."+function+"."+id, []byte(text(n)), jetstream.WithStallWait(suiteLimit))
			if err != nil {
				t.Fatal(err)
			}
			acks = append(acks, ack)
		}
	}
	timeout := time.After(suiteLimit)
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			t.Fatal(err)
		case <-timeout:
			t.Fatalf("not all messages are stored after %v", suiteLimit)
		}
	}
}

func sendsLater(t *testing.T, s *suite) {
	t.Helper()
	start := time.Now()
	s.send(t, "delay", "later", "after 1500 - in a while")
	s.want(t, "later", "1 in a while")
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("a message to be sent after 1.5 s came after %v", took)
	}
}

// takesBack cancels a message that is due in three seconds. If the machine is
// so busy that the cancellation may have come too late, it tries again.
func takesBack(t *testing.T, s *suite) {
	t.Helper()
	for try := 1; ; try++ {
		id, start := fmt.Sprintf("back-%d", try), time.Now()
		s.send(t, "delay", id, "after 3000 gone taken back")
		s.send(t, "delay", id, "after 3000 kept stays")
		s.send(t, "delay", id, "cancel gone")
		s.out.take(t, "suite.out."+id, 1)
		if took := time.Since(start); took < 3*time.Second {
			s.send(t, "delay", id, "after 3500 - the last")
			s.want(t, id, "1 stays", "2 the last")
			return
		}
		if try == 5 {
			t.Fatal("the machine is too busy to cancel a message within three seconds")
		}
	}
}

func replies(t *testing.T, s *suite) {
	t.Helper()
	s.send(t, "asker", "asker", "ask somebody")
	s.want(t, "asker", "answer to question by somebody")
	s.send(t, "answerer", "alone", "hello")
	s.want(t, "alone", "nobody asked hello")
}

// answersCalls asks for an answer over HTTP: jetfn is the caller.
func answersCalls(t *testing.T, s *suite) {
	t.Helper()
	for range 2 {
		r := s.do(t, http.MethodPost, "/v1/call/suite/answerer/called", "text/plain", []byte("hello"))
		if got := s.sdk.reply(r.body); r.status != http.StatusOK || got != "answer to hello by called" {
			t.Errorf("call = %d %q, want an answer", r.status, got)
		}
	}
}

func fansOut(t *testing.T, s *suite) {
	t.Helper()
	s.send(t, "fan", "fan", "fan 1000")
	s.want(t, "fan", "all 1000")
}

func writesEgresses(t *testing.T, s *suite) {
	t.Helper()
	typename, payload := s.sdk.thing("what it is")
	publishTyped(t, s.js, "t.fn.suite.echo.echo", typename, payload)
	raw := s.out.take(t, "suite.raw", 1)[0]
	if got := raw.header.Get("Jetfn-Type"); string(raw.payload) != string(payload) || got != typename {
		t.Errorf("suite/raw got %q of the type %q, want %q of %q", raw.payload, got, payload, typename)
	}
	if s.sdk.noKinesis != "" {
		return
	}
	kinesis := s.out.take(t, "suite.out.echo", 1)[0]
	if got := s.sdk.text(kinesis.payload); got != "what it is" || kinesis.header.Get("Jetfn-Topic") != "kinesis" {
		t.Errorf("suite/out got %q, headers %v; want the same bytes, Jetfn-Topic kinesis", got, kinesis.header)
	}
}

func publishTyped(t *testing.T, js jetstream.JetStream, subject, typename string, payload []byte) {
	t.Helper()
	msg := nats.NewMsg(subject)
	msg.Header.Set("Jetfn-Type", typename)
	msg.Data = payload
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

func failsAlone(t *testing.T, s *suite) {
	t.Helper()
	for _, text := range []string{"first", "bad", "second"} {
		s.send(t, "fails", "fails", text)
	}
	s.want(t, "fails", "1 first", "2 second")
	letter := s.letter(t, "suite/fails/")
	if letter.Address != "suite/fails/fails" || letter.Reason != "status" || letter.HTTPStatus != s.sdk.failure() || letter.Attempts < 3 {
		t.Errorf("dead letter %+v, want one of status %d after 3 attempts", letter, s.sdk.failure())
	}
}

func isUnbound(t *testing.T, s *suite) {
	t.Helper()
	s.send(t, "unbound", "u", "hello")
	letter := s.letter(t, "suite/unbound/")
	if want := s.sdk.unboundReason(); letter.Reason != want || letter.Attempts != 3 {
		t.Errorf("dead letter %+v, want the reason %q after 3 attempts", letter, want)
	}
}

// diesAndReturns kills the function's process three times under load.
func diesAndReturns(t *testing.T, s *suite) {
	t.Helper()
	const addresses, each = 20, 30
	ids := make([]string, addresses)
	for i := range ids {
		ids[i] = fmt.Sprintf("dies-%d", i)
	}
	for round := range 3 {
		s.flood(t, "counter", ids, each, numbered)
		s.functionDies(t)
		t.Logf("round %d: back again", round)
	}
	var want []string
	for n := 1; n <= 3*each; n++ {
		want = append(want, fmt.Sprintf("%d m%d", n, (n-1)%each+1))
	}
	for _, id := range ids {
		s.want(t, id, want...)
	}
	for _, id := range ids {
		if rest := s.out.rest("suite.out." + id); len(rest) > 0 {
			t.Errorf("%s emitted %d messages more than it got", id, len(rest))
		}
	}
	if letters := s.letters(t, "suite/counter/"); len(letters) > 0 {
		t.Errorf("%d dead letters of counters, the first %s", len(letters), strings.TrimSpace(letters[0].Error))
	}
}
