package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

func TestPlaygroundIngressTakesAnyMethod(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path, contentType, body string
		want                            actor.Value
	}{
		"a vendor type":   {"PUT", "/example/greeter/Bob", "application/vnd.example/GreetRequest", `{"name":"Bob"}`, actor.Value{Type: "example/GreetRequest", Data: []byte(`{"name":"Bob"}`)}},
		"a built-in type": {"PUT", "/example/greeter/Bob", "application/vnd.io.statefun.types/int", "\x0d\x01\x00\x00\x00", actor.Value{Type: "io.statefun.types/int", Data: []byte("\x0d\x01\x00\x00\x00")}},
		"text":            {"POST", "/example/greeter/Bob", "text/plain", "hi", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02hi")}},
		"JSON as text":    {"PATCH", "/example/greeter/Bob", "application/json", "{}", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02{}")}},
		"no type":         {"PUT", "/example/greeter/Bob?x=y", "", "hi", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02hi")}},
		"no body":         {"GET", "/example/greeter/Bob", "", "", actor.Value{Type: actor.StringType, Data: []byte{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got actor.Value
			app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
				a := m.Target
				v := m.Value
				if a != bob {
					t.Errorf("sent to %s, want %s", a, bob)
				}
				got = v
				return gateway.Receipt{}, nil
			}}
			w := serve(gateway.NewPlaygroundIngress(app, app, gateway.Access{}), request(c.method, c.path, c.body, "Content-Type", c.contentType))
			if w.Code != 200 || w.Header().Get("Status") != "200" || w.Body.Len() != 0 {
				t.Errorf("the answer is %d, Status %q, %q", w.Code, w.Header().Get("Status"), w.Body)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlaygroundIngressSaysWhatItDidNotTake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r        *http.Request
		err      error
		status   int
		slug     string
		accepted bool
	}{
		"two segments":        {request("PUT", "/example/greeter", "x"), nil, 400, "bad-address", false},
		"four segments":       {request("PUT", "/example/greeter/Bob/x", "x"), nil, 400, "bad-address", false},
		"an empty segment":    {request("PUT", "/example//Bob", "x"), nil, 400, "bad-address", false},
		"a trailing slash":    {request("PUT", "/example/greeter/Bob/", "x"), nil, 400, "bad-address", false},
		"an unknown function": {request("PUT", "/example/nobody/Bob", "x"), nil, 404, "unknown-function", false},
		"broken text":         {request("PUT", "/example/greeter/Bob", "\xff"), nil, 415, "bad-type", false},
		"a broken type":       {request("PUT", "/example/greeter/Bob", "x", "Content-Type", "application/vnd.GreetRequest"), nil, 415, "bad-type", false},
		"a foreign page":      {request("GET", "/example/greeter/Bob", "x", "Sec-Fetch-Site", "cross-site"), nil, 403, "forbidden", false},
		"not ready":           {request("PUT", "/example/greeter/Bob", "x"), gateway.ErrNotReady, 503, "not-ready", false},
		"an unknown outcome":  {request("PUT", "/example/greeter/Bob", "x"), gateway.ErrUnknown, 504, "timeout", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := &fakeApp{
				known: func(t actor.TypeName) bool { return t == greeter },
				send: func(context.Context, gateway.Message) (gateway.Receipt, error) {
					if c.err == nil {
						t.Error("the message was stored")
					}
					return gateway.Receipt{}, c.err
				},
			}
			w := serve(gateway.NewPlaygroundIngress(app, app, gateway.Access{}), c.r)
			wantProblem(t, w, c.status, c.slug, c.accepted)
			if got := w.Header().Get("Status"); got != "500" {
				t.Errorf("header Status = %q, want 500", got)
			}
		})
	}
}

// queue is a Popper over memory.
type queue map[string][]string

func (q queue) Pop(_ context.Context, topic string) ([]byte, bool, error) {
	if topic == "broken" {
		return nil, false, errors.New("disk on fire")
	}
	if len(q[topic]) == 0 {
		return nil, false, nil
	}
	data := q[topic][0]
	q[topic] = q[topic][1:]
	return []byte(data), true, nil
}

func TestPlaygroundEgressHandsEachRecordOutOnce(t *testing.T) {
	t.Parallel()
	q := queue{"greetings": {"one", "", "three"}, "a/b": {"slash"}, "secret": {"x"}}
	h := gateway.NewPlaygroundEgress(q, []string{"greetings", "a/b", "broken"}, gateway.Access{})
	for i, c := range []struct {
		method, path string
		code         int
		status, body string
	}{
		{"GET", "/greetings", 200, "200", "one"},
		{"GET", "/greetings", 200, "200", ""},
		{"HEAD", "/greetings", 405, "405", "*"},
		{"POST", "/greetings", 405, "405", "*"},
		{"GET", "/greetings?x=y", 200, "200", "three"},
		{"GET", "/greetings", 200, "404", ""},
		{"GET", "/secret", 200, "405", ""},
		{"GET", "/", 200, "405", ""},
		{"GET", "/greetings/", 200, "405", ""},
		{"GET", "/%zz", 200, "405", ""},
		{"GET", "/a%2Fb", 200, "200", "slash"},
		{"GET", "/broken", 500, "500", "*"},
	} {
		w := serve(h, request(c.method, c.path, ""))
		if w.Code != c.code || w.Header().Get("Status") != c.status || c.body != "*" && w.Body.String() != c.body {
			t.Errorf("%d: %s %s = %d, Status %q, %q, want %d, %s, %q", i, c.method, c.path, w.Code, w.Header().Get("Status"), w.Body, c.code, c.status, c.body)
		}
	}
	w := serve(h, request("GET", "/greetings", "", "Sec-Fetch-Site", "cross-site"))
	wantProblem(t, w, http.StatusForbidden, "forbidden", false)
}

func TestPlaygroundRecordIsReadOrRefused(t *testing.T) {
	t.Parallel()
	const typ = "io.statefun.playground/EgressRecord"
	topic, payload, err := gateway.PlaygroundRecord(actor.Value{Type: typ, Data: []byte(`{"topic":"greetings","payload":"{\"x\":1}\u00fc"}`)})
	if err != nil || topic != "greetings" || payload != `{"x":1}ü` {
		t.Errorf("PlaygroundRecord = %q, %q, %v", topic, payload, err)
	}
	for name, v := range map[string]actor.Value{
		"another type":         {Type: actor.StringType, Data: []byte(`{"topic":"a","payload":"b"}`)},
		"no JSON":              {Type: typ, Data: []byte("x")},
		"nothing":              {Type: typ},
		"no topic":             {Type: typ, Data: []byte(`{"payload":"b"}`)},
		"no payload":           {Type: typ, Data: []byte(`{"topic":"a"}`)},
		"a payload of no text": {Type: typ, Data: []byte(`{"topic":"a","payload":{}}`)},
	} {
		if _, _, err := gateway.PlaygroundRecord(v); err == nil {
			t.Errorf("%s: PlaygroundRecord = nil, want an error", name)
		}
	}
}

func TestRecordsForKafkaAndKinesisAreUnwrapped(t *testing.T) {
	t.Parallel()
	messages := append(firstEffects().Egress, egress2(1)...)
	for i, want := range []actor.EgressMessage{
		{ID: messages[0].ID, Key: "Bob", Topic: "greets", Value: actor.Value{Data: []byte("hi")}},
		{ID: messages[1].ID, Key: "pk", Topic: "s", Value: actor.Value{Data: []byte("\x01\x02")}},
		messages[2],
		{ID: messages[3].ID, Key: "Bob", Topic: "greets", Value: actor.Value{Data: []byte("\x08\x01")}},
		{ID: messages[4].ID, Key: "pk", Topic: "st", Value: actor.Value{Data: []byte("\x08\x01")}},
	} {
		got, err := gateway.UnwrapEgress(messages[i])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("UnwrapEgress(%s) (-want +got):\n%s", messages[i].ID, diff)
		}
	}
	for _, data := range []string{"\xff", "\x0a\x01\xff", "\x7a\x01x", "hello"} {
		m := messages[0]
		m.Value.Data = []byte(data)
		if got, err := gateway.UnwrapEgress(m); err == nil {
			t.Errorf("UnwrapEgress of %q = %+v, want an error", data, got)
		}
	}
}
