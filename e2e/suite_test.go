//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// suite is an SDK's program behind jetfn, in the middle of being tested.
type suite struct {
	*app
	sdk      sdk
	js       jetstream.JetStream
	out      *outlet
	function *process
	port     int
}

// behaviours are what every SDK's program (sdk/README.md) is put through at
// once. Each one uses ids of its own.
func behaviours() map[string]func(*testing.T, *suite) {
	return map[string]func(*testing.T, *suite){
		"keeps and forgets state":                 keepsState,
		"keeps state of every type":               keepsTypes,
		"sees a hot address's messages in order":  countsHotAddress,
		"lets state expire":                       letsStateExpire,
		"counts expiring state within a batch":    countsExpiringState,
		"sends later":                             sendsLater,
		"takes back what it sent for later":       takesBack,
		"replies to its caller":                   replies,
		"answers calls":                           answersCalls,
		"fans out to a thousand":                  fansOut,
		"writes to egresses":                      writesEgresses,
		"fails with one message and not the rest": failsAlone,
		"is asked for a function it doesn't have": isUnbound,
	}
}

func TestEverySDKBehavesTheSame(t *testing.T) {
	t.Parallel()
	for name, sdk := range sdks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSuite(t, sdk)
			t.Run("all at once", func(t *testing.T) {
				for name, behave := range behaviours() {
					if _, ok := sdk.lacks[name]; ok {
						continue
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						behave(t, s)
					})
				}
			})
			t.Run("dies and returns", func(t *testing.T) { diesAndReturns(t, s) })
		})
	}
}

// Behaviours that an SDK is said to lack are ones that there are.
func TestEveryExceptionOfAnSDKNamesABehaviour(t *testing.T) {
	t.Parallel()
	known := behaviours()
	for name, sdk := range sdks() {
		for _, behaviour := range slices.Sorted(maps.Keys(sdk.lacks)) {
			if known[behaviour] == nil || sdk.lacks[behaviour] == "" {
				t.Errorf("%s lacks %q because %q: no such behaviour, or no reason", name, behaviour, sdk.lacks[behaviour])
			}
		}
	}
}

func startSuite(t *testing.T, k sdk) *suite {
	t.Helper()
	s := &suite{sdk: k, port: freePorts(t, 1)[0]}
	if k.over == overHTTP {
		s.function = startListening(t, s.port, k.program(t))
	}
	// Two files: documents of a format with a version stand alone in theirs.
	opts := []option{withModules(writeFile(t, "egresses.yaml", suiteEgresses))}
	if k.over == inProcess {
		opts = append(opts, withBinary(k.program(t).path))
	}
	s.app = startApp(t, k.module(s.port), opts...)
	if k.over == overNATS {
		s.function = startService(t, s.app, k.program(t))
	}
	_, s.js = s.connect(t)
	s.out = watch(t, s.js)
	return s
}

// startService starts a program whose functions are a service of the
// application's NATS, and waits until it takes calls.
func startService(t *testing.T, a *app, c command) *process {
	t.Helper()
	c.env = append(c.env, "NATS_URL="+a.nats)
	p := startProcess(t, "service", c)
	eventually(t, suiteLimit, "the service to be ready", func() error {
		if p.ended() {
			return fmt.Errorf("it ended:\n%s", p.output.tail(2_000))
		}
		if !strings.Contains(p.output.String(), "ready\n") {
			return errors.New("it isn't")
		}
		return nil
	})
	return p
}

// functionDies kills the program that has the functions, and starts it again.
func (s *suite) functionDies(t *testing.T) {
	t.Helper()
	switch s.sdk.over {
	case overHTTP:
		s.function.kill()
		s.function = startListening(t, s.port, s.sdk.program(t))
	case overNATS:
		s.function.kill()
		s.function = startService(t, s.app, s.sdk.program(t))
	case inProcess:
		s.kill()
		s.restart(t)
	}
}

// send publishes text to a function of the suite.
func (s *suite) send(t *testing.T, function, id, text string) {
	t.Helper()
	publish(t, s.js, "t.fn.suite."+function+"."+id, text)
}

// want waits for what a function with this id emits, in order.
func (s *suite) want(t *testing.T, id string, texts ...string) {
	t.Helper()
	var got []string
	for _, r := range s.out.take(t, "suite.out."+id, len(texts)) {
		got = append(got, s.sdk.text(r.payload))
	}
	if !slices.Equal(got, texts) {
		t.Fatalf("%s emitted %q, want %q", id, got, texts)
	}
}

// letters are the dead letters of addresses that begin with prefix.
func (s *suite) letters(t *testing.T, prefix string) (letters []deadLetter) {
	t.Helper()
	for _, d := range deadLetters(t, s.js) {
		if strings.HasPrefix(d.Address, prefix) {
			letters = append(letters, d)
		}
	}
	return letters
}

// letter waits for the one dead letter of an address.
func (s *suite) letter(t *testing.T, address string) deadLetter {
	t.Helper()
	var letters []deadLetter
	eventually(t, suiteLimit, "a dead letter of "+address, func() error {
		if letters = s.letters(t, address); len(letters) == 0 {
			return errors.New("none")
		}
		return nil
	})
	if len(letters) > 1 {
		t.Fatalf("%d dead letters of %s, want one: %+v", len(letters), address, letters)
	}
	return letters[0]
}
