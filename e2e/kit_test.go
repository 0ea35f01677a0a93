//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// kitModule binds the functions over HTTP. Those of a service are found, and
// those in the worker need no binding.
const kitModule = `
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: kit/*
  urlPathTemplate: http://127.0.0.1:%d/functions
`

// kit is the program of jetfn's own SDK behind jetfn.
type kit struct {
	*suite
	name string
}

func kits() map[string]sdk {
	return map[string]sdk{
		"over HTTP":  {program: ownSDK("http")},
		"over NATS":  {program: ownSDK("nats"), over: overNATS},
		"in process": {program: ownSDK("run"), over: inProcess},
	}
}

func startKit(t *testing.T, name string, k sdk, opts ...option) *kit {
	t.Helper()
	s := &suite{sdk: k, port: freePorts(t, 1)[0]}
	module := suiteEgresses
	switch k.over {
	case overHTTP:
		module += fmt.Sprintf(kitModule, s.port)
		s.function = startListening(t, s.port, k.program(t))
	case inProcess:
		opts = append(opts, withBinary(k.program(t).path))
	case overNATS:
	}
	s.app = startApp(t, module, opts...)
	if k.over == overNATS {
		s.function = startService(t, s.app, k.program(t))
		waitFound(t, s.app, "kit/cart")
	}
	_, s.js = s.connect(t)
	s.out = watch(t, s.js)
	return &kit{suite: s, name: name}
}

// waitFound waits until the application knows a function that is there.
func waitFound(t *testing.T, a *app, name string) {
	t.Helper()
	eventually(t, suiteLimit, "the function "+name, func() error {
		text := string(a.do(t, "GET", "/v1/functions", "", nil).body)
		if _, after, ok := strings.Cut(text, `"type":"`+name+`"`); !ok || strings.Contains(strings.SplitN(after, "}", 2)[0], `"away":true`) {
			return fmt.Errorf("it isn't among %s", text)
		}
		return nil
	})
}

func (k *kit) tell(t *testing.T, function, id string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		publish(t, k.js, "t.fn.kit."+function+"."+id, text)
	}
}

func TestTheGoSDKDoesTheSameHoweverItIsServed(t *testing.T) {
	t.Parallel()
	for name, sdk := range kits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := startKit(t, name, sdk)
			k.remembers(t)
			k.fails(t)
			k.diesAndReturns(t)
		})
	}
}

// remembers uses every kind of state.
func (k *kit) remembers(t *testing.T) {
	t.Helper()
	k.tell(t, "cart", "ann", "add tea 2", "add rum 1", "add tea 3", "remove rum", "add milk 1", "list")
	k.want(t, "ann", "tea 2", "rum 1", "tea 5", "rum", "milk 1", "milk=1 tea=5 6 messages")
	k.tell(t, "profile", "bob", "colour red", "size 3", "colour blue")
	k.want(t, "bob", `colour: "" to "red"`, `size: "" to "3"`, `colour: "red" to "blue"`)
	k.tell(t, "work", "cat", "square 12")
	k.want(t, "cat", "success 12 144")
	k.tell(t, "work", "dan", "once 3")
	k.want(t, "dan", "success 3 9")
	for address, want := range map[string]map[string]string{
		"kit/cart ann":    {"log": "io.jetfn.types/buffer"},
		"kit/profile bob": {"colour": "io.statefun.types/string", "size": "io.statefun.types/string"},
	} {
		function, id, _ := strings.Cut(address, " ")
		view, err := k.state(t, function, id)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name, v := range view.Values {
			got[name] = v.Type
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: state of %s = %v, want %v", k.name, address, got, want)
		}
	}
}

// fails has errors say what becomes of a message.
func (k *kit) fails(t *testing.T) {
	t.Helper()
	k.tell(t, "fails", "panics", "panic")
	k.want(t, "panics", "panic")
	start := time.Now()
	k.tell(t, "fails", "later", "later", "after")
	k.want(t, "later", "later", "after")
	if took := time.Since(start); took < time.Second {
		t.Errorf("a message that was to be tried again after a second came through after %v", took)
	}
	k.tell(t, "fails", "never", "never")
	letter := k.letter(t, "kit/fails/never") // before the next one, or they may be called together, and then singly
	if letter.Reason != "status" || letter.Attempts != 1 || !strings.Contains(letter.Error, "this can't be") {
		t.Errorf("dead letter %+v, want one after one attempt, with the function's error", letter)
	}
	k.tell(t, "fails", "never", "after")
	k.want(t, "never", "after")
}

// diesAndReturns kills the functions and the worker under load.
func (k *kit) diesAndReturns(t *testing.T) {
	t.Helper()
	const addresses, each, items = 12, 30, 7
	total := 0
	for round := range 3 {
		k.tell(t, "profile", "again", "there yes") // when the connection is back
		js, err := jetstream.New(k.js.Conn())
		if err != nil {
			t.Fatal(err)
		}
		for n := total; n < total+each; n++ {
			for i := range addresses {
				_, err := js.PublishAsync("t.fn.kit.cart.dies-"+strconv.Itoa(i), fmt.Appendf(nil, "add item-%d 1", n%items), jetstream.WithStallWait(suiteLimit))
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		total += each
		select {
		case <-js.PublishAsyncComplete():
		case <-time.After(suiteLimit):
			t.Fatal("messages are not stored in time")
		}
		if round != 1 {
			k.functionDies(t)
		}
		if round != 0 {
			k.kill()
			k.restart(t)
		}
	}
	var want []string
	for n := range total {
		want = append(want, fmt.Sprintf("item-%d %d", n%items, n/items+1))
	}
	var list strings.Builder
	for item := range items {
		fmt.Fprintf(&list, "item-%d=%d ", item, (total-item+items-1)/items)
	}
	want = append(want, fmt.Sprintf("%s%d messages", list.String(), total+1))
	out := watch(t, k.js) // from the beginning, as the server was gone
	for i := range addresses {
		id := "dies-" + strconv.Itoa(i)
		k.tell(t, "cart", id, "list")
		var got []string
		for _, r := range out.take(t, "suite.out."+id, len(want)) {
			got = append(got, string(r.payload))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s emitted %q, want %q", k.name, id, got, want)
		}
		if rest := out.rest("suite.out." + id); len(rest) > 0 {
			t.Errorf("%s: %s emitted %d messages more than it got", k.name, id, len(rest))
		}
	}
	if letters := k.letters(t, "kit/cart/"); len(letters) > 0 {
		t.Errorf("%s: %d dead letters, the first %s", k.name, len(letters), letters[0].Error)
	}
}

func TestACallThatDiesWithItsServiceIsMadeElsewhere(t *testing.T) {
	t.Parallel()
	k := startKit(t, "over NATS", kits()["over NATS"])
	other := startService(t, k.app, k.sdk.program(t))
	k.tell(t, "hold", "ann", "this one")
	var holder, rest *process
	eventually(t, suiteLimit, "a service to have the call", func() error {
		switch {
		case strings.Contains(k.function.output.String(), "holds this one"):
			holder, rest = k.function, other
		case strings.Contains(other.output.String(), "holds this one"):
			holder, rest = other, k.function
		default:
			return errors.New("none has")
		}
		return nil
	})
	holder.kill()
	k.want(t, "ann", "this one")
	if rest.ended() || k.letters(t, "kit/") != nil {
		t.Error("it was not the other service that answered")
	}
}

func TestAsynchronousWorkCountsAmongTheCallsInFlight(t *testing.T) {
	t.Parallel()
	k := kits()["over HTTP"]
	program := k.program
	k.program = func(t *testing.T) command {
		t.Helper()
		c := program(t)
		c.env = append(c.env, "WORK=200ms")
		return c
	}
	s := startKit(t, "over HTTP", k, withArgs("--max-per-task", "3"))
	const n = 15
	for i := range n {
		s.tell(t, "work", "ann", fmt.Sprintf("square %d", i))
	}
	got := map[string]bool{}
	for _, r := range s.out.take(t, "suite.out.ann", n) {
		got[string(r.payload)] = true
	}
	for i := range n {
		if want := fmt.Sprintf("success %d %d", i, i*i); !got[want] {
			t.Errorf("there is no result %q among %v", want, got)
		}
	}
	most := 0
	for line := range strings.Lines(s.function.output.String()) {
		at, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "works at "))
		if err == nil {
			most = max(most, at)
		}
	}
	if most < 2 || most > 3 {
		t.Errorf("%d works were under way at once, want at most 3, and more than one", most)
	}
}

func TestAsynchronousWorkSurvivesATakeover(t *testing.T) {
	t.Parallel()
	_, url := startNATS(t, freePorts(t, 1)[0], t.TempDir())
	port := freePorts(t, 1)[0]
	c := ownSDK("http")(t)
	c.env = append(c.env, "WORK=2s")
	function := startListening(t, port, c)
	module := suiteEgresses + fmt.Sprintf(kitModule, port)
	active := startApp(t, module, withNATS(url))
	standby := newApp(t, module, withNATS(url))
	standby.launch(t)
	_, js := active.connect(t)
	out := watch(t, js)
	const n = 6
	for i := range n {
		publish(t, js, "t.fn.kit.work.may", fmt.Sprintf("square %d", i))
		publish(t, js, "t.fn.kit.work.must-not", fmt.Sprintf("once %d", i))
	}
	eventually(t, suiteLimit, "all work to be under way", func() error {
		if got := strings.Count(function.output.String(), "works at"); got < 2*n {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
	active.kill()
	standby.waitReady(t)
	for i, r := range sortedTexts(out.take(t, "suite.out.may", n)) {
		if want := fmt.Sprintf("success %d %d", i, i*i); r != want {
			t.Errorf("work that may be repeated ended with %q, want %q", r, want)
		}
	}
	for i, r := range sortedTexts(out.take(t, "suite.out.must-not", n)) {
		if want := fmt.Sprintf("unknown %d 0", i); r != want {
			t.Errorf("work that must not be repeated ended with %q, want %q", r, want)
		}
	}
	if got := strings.Count(function.output.String(), "works at"); got != 3*n {
		t.Errorf("work was done %d times, want %d: what may be repeated twice, what must not once", got, 3*n)
	}
}

func sortedTexts(records []emission) []string {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = string(r.payload)
	}
	slices.Sort(texts)
	return texts
}
