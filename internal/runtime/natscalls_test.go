package runtime_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/jetfn/jetfn/actor"
)

func (w *worker) ask(nc *nats.Conn, subject, text string, headers ...string) *nats.Msg {
	w.tb.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(text), Header: nats.Header{}}
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	got, err := nc.RequestMsg(m, patience)
	if err != nil {
		w.tb.Fatalf("request to %s: %v", subject, err)
	}
	return got
}

func TestCallsOverNATS(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	defer close(hold)
	cfg := tellers(t, hold)
	cfg.Version = "v1.2.3"
	w := start(t, cfg)
	nc := dial(t, w.NATS)
	got := w.ask(nc, "jetfn.call.demo.teller.Ada", "hello")
	if string(got.Data) != "1 hello" || got.Header.Get("Jetfn-Type") != "io.statefun.types/string" || got.Header.Get("Jetfn-Call-Id") == "" || len(got.Header.Get("traceparent")) != 55 {
		t.Errorf("answer = %q %v", got.Data, got.Header)
	}
	for range 2 {
		got = w.ask(nc, "jetfn.call.demo.teller.Ada", "raw", "Idempotency-Key", "k", "Accept", "application/json")
		if want := `{"type":"demo/raw","value":"AAH/"}` + "\n"; string(got.Data) != want {
			t.Errorf("answer = %q, want %q", got.Data, want)
		}
	}
	if got := w.ask(nc, "jetfn.call.demo.teller.Ada", "nothing"); len(got.Data) != 0 || len(got.Header["Jetfn-Type"]) != 0 || got.Header.Get(micro.ErrorCodeHeader) != "" {
		t.Errorf("answer without a value = %q %v", got.Data, got.Header)
	}
	w.ask(nc, "jetfn.call.demo.teller.Ada", "hello") // the fourth
	for what, c := range map[string]struct {
		subject, text string
		headers       []string
		code, slug    string
	}{
		"failure":         {"demo.teller.Ada", "fail", nil, "502", "function-failed"},
		"time-out":        {"demo.teller.Bob", "hold", []string{"Jetfn-Timeout", "50ms"}, "504", "timeout"},
		"no duration":     {"demo.teller.Ada", "x", []string{"Jetfn-Timeout", "soon"}, "400", "bad-request"},
		"unknown":         {"demo.nobody.Ada", "x", nil, "404", "unknown-function"},
		"jetfn's own":     {"jetfn.caller.Ada", "x", nil, "400", "bad-address"},
		"mismatch":        {"demo.teller.Ada", "other", []string{"Idempotency-Key", "k"}, "422", "idempotency-mismatch"},
		"not canonical":   {"demo.teller.A=64a", "x", nil, "400", "bad-address"},
		"two tokens":      {"demo.teller", "x", nil, "400", "bad-address"},
		"text that isn't": {"demo.teller.Ada", "\xff", nil, "415", "bad-type"},
	} {
		got := w.ask(nc, "jetfn.call."+c.subject, c.text, c.headers...)
		var p problem
		err := json.Unmarshal(got.Data, &p)
		if err != nil || got.Header.Get(micro.ErrorCodeHeader) != c.code || !strings.HasPrefix(got.Header.Get(micro.ErrorHeader), c.slug+": ") ||
			p.Type != "urn:jetfn:problem:"+c.slug || len(p.TraceID) != 32 {
			t.Errorf("%s: %v %s, want %s %s", what, got.Header, got.Data, c.code, c.slug)
		}
	}
	var info micro.Info
	if err := json.Unmarshal(w.ask(nc, "$SRV.INFO.jetfn", "").Data, &info); err != nil {
		t.Fatal(err)
	}
	if info.Name != "jetfn" || info.Version != "1.2.3" || len(info.Endpoints) != 1 || info.Endpoints[0].Subject != "jetfn.call.>" || info.Endpoints[0].QueueGroup != "jetfn" {
		t.Errorf("service = %+v", info)
	}
}

func TestNoAnswerOfAServiceGoesWhereItsReaderMayNotPublish(t *testing.T) {
	t.Parallel()
	w := start(t, tellers(t, nil))
	nc := dial(t, w.NATS)
	for _, subject := range []string{"jetfn.call.demo.teller.Ada", "$SRV.PING"} {
		if err := nc.PublishRequest(subject, "jetfn.journal.0", []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	w.ask(nc, "$SRV.PING", "") // both are handled
	w.call("Ada", "hello")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := js.Stream(t.Context(), "JETFN_JOURNAL")
	if err != nil {
		t.Fatal(err)
	}
	m, err := journal.GetLastMsgForSubject(t.Context(), "jetfn.journal.0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := actor.Inspect(m.Data); err != nil {
		t.Errorf("the journal's last message is %q, which is no record: %v", m.Data, err)
	}
}
