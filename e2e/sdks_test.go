//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// sdk is one of StateFun's SDKs and what is special about it.
type sdk struct {
	program       func(*testing.T) command
	twoPointX     bool              // it speaks protocol 2.x
	maxConcurrent int               // requests at once; 0 is no limit
	lacks         map[string]string // behaviours that it can't have, and why
	noLong        string            // why it has no long and no double
	noKinesis     string            // why it has no Kinesis records
	closes        string            // why an error is a closed connection
	bytes         bool              // it speaks 2.x, and its records are bytes nevertheless
	over          transport
}

// transport is how jetfn reaches a program's functions.
type transport int

const (
	overHTTP  transport = iota
	overNATS            // as a service
	inProcess           // they are in the worker
)

const (
	noCancellation = "there is no cancellation in 2.x"
	noFailure      = "a function has no way to fail but a panic, which breaks the process for good"
	noKinesisRust  = "it has no such record"
	closesOnError  = "its transport answers an error by closing the connection"
)

// sdks are all that can be had from the registries, with the exceptions that
// are their own.
func sdks() map[string]sdk {
	return map[string]sdk{
		"Python 3.3.0":         {program: python("3.3.0", "python3/sync.py", "suite")},
		"Python 3.3.0 aiohttp": {program: python("3.3.0", "python3/aio.py", "suite")},
		"Python 3.5.0":         {program: python("3.5.0", "python3/sync.py", "suite")},
		"Python 3.5.0 aiohttp": {program: python("3.5.0", "python3/aio.py", "suite")},
		"Java 3.3.0":           {program: java("Suite")},
		"Go 3.3.0":             {program: executable(".e2e/go/suite", "suite")},
		"JavaScript 3.3.0":     {program: javascript("suite.js"), noLong: "it has no such types"},
		"Rust 0.2.0-alpha.2": {
			program:   executable(".e2e/target/debug/suite3"),
			noKinesis: noKinesisRust,
			closes:    closesOnError,
			lacks: map[string]string{
				"fails with one message and not the rest": noFailure,
				"counts expiring state within a batch":    "an invocation doesn't see what the one before it in the batch has written to such a state",
			},
		},
		"Python 2.2.0":         python2("python2/sync.py"),
		"Python 2.2.0 aiohttp": python2("python2/aio.py"),
		"jetfn Go":             {program: ownSDK("http")},
		"jetfn Go by 2.x": {
			program: ownSDK("http"), twoPointX: true, bytes: true,
			lacks: map[string]string{"takes back what it sent for later": noCancellation},
		},
		"jetfn Go over NATS": {
			program: ownSDK("nats"), over: overNATS,
			lacks: map[string]string{"is asked for a function it doesn't have": "nobody is there to answer, and the message waits"},
		},
		"jetfn Go in process": {
			program: ownSDK("run"), over: inProcess,
			lacks: map[string]string{"is asked for a function it doesn't have": "the worker itself knows that there is none"},
		},
		"Rust 0.1.1": {
			program:   executable(".e2e/target/debug/suite2"),
			twoPointX: true,
			noKinesis: noKinesisRust,
			closes:    closesOnError,
			lacks: map[string]string{
				"fails with one message and not the rest": noFailure,
				"takes back what it sent for later":       noCancellation,
			},
		},
	}
}

// ownSDK is jetfn's own one.
func ownSDK(args ...string) func(*testing.T) command {
	return func(t *testing.T) command {
		t.Helper()
		return command{path: built(t, ownSDKBinary), args: args}
	}
}

// python2 shares one context between the requests that it has at once.
func python2(program string) sdk {
	return sdk{
		program:       python("2.2.0", program, "suite"),
		twoPointX:     true,
		maxConcurrent: 1,
		lacks:         map[string]string{"takes back what it sent for later": noCancellation},
	}
}

func python(version string, args ...string) func(*testing.T) command {
	return func(t *testing.T) command {
		t.Helper()
		path := installed(t, ".e2e/python-"+version+"/bin/python")
		return command{path: path, args: append([]string{sdkFile(t, args[0])}, args[1:]...)}
	}
}

func java(class string) func(*testing.T) command {
	return func(t *testing.T) command {
		t.Helper()
		path, err := exec.LookPath("java")
		if err != nil {
			t.Fatalf("%v: e2e needs a JDK; .ci/run installs it", err)
		}
		classpath := installed(t, ".e2e/java/classes") + ":" + installed(t, ".e2e/java/lib") + "/*"
		return command{path: path, args: []string{"-cp", classpath, "-Xmx256m", class}}
	}
}

func javascript(program string) func(*testing.T) command {
	return func(t *testing.T) command {
		t.Helper()
		node, err := exec.LookPath("node")
		if err != nil {
			t.Fatalf("%v: e2e needs node; .ci/run installs it", err)
		}
		return command{
			path: node,
			args: []string{sdkFile(t, "js/"+program)},
			env:  []string{"NODE_PATH=" + installed(t, ".e2e/node_modules")},
		}
	}
}

func executable(path string, args ...string) func(*testing.T) command {
	return func(t *testing.T) command {
		t.Helper()
		return command{path: installed(t, path), args: args}
	}
}

func sdkFile(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("sdk", path))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// startListening starts a program with PORT set and waits until it listens.
func startListening(t *testing.T, port int, c command) *process {
	t.Helper()
	c.env = append(c.env, fmt.Sprintf("PORT=%d", port))
	p := startProcess(t, filepath.Base(c.path), c)
	eventually(t, suiteLimit, "the function process to listen", func() error {
		if p.ended() {
			return fmt.Errorf("it ended:\n%s", p.output.tail(2_000))
		}
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p
}

// text is what the function passed to emit. A Kafka record of 2.x has a
// protobuf message for a value.
func (k sdk) text(payload []byte) string {
	if k.bytes {
		return string(payload)
	}
	return k.reply(payload)
}

// reply is the text that a function answered with.
func (k sdk) reply(payload []byte) string {
	if k.twoPointX {
		v := value{typename: stringType, data: payload}
		return v.text()
	}
	return string(payload)
}

// thing is a message for suite/echo.
func (k sdk) thing(text string) (typename string, payload []byte) {
	if k.twoPointX && !k.bytes {
		return "type.googleapis.com/google.protobuf.BytesValue", appendField(nil, 1, []byte(text))
	}
	return "suite/thing", []byte(text)
}

// types is what suite/types answers to get, before anything is set, and after
// set and zero.
func (k sdk) types() (absent, set, zero string) {
	if k.noLong != "" {
		return "- - - - - - -", `true -7 - 6 - [grüße] {"k":1}`, `false 0 - 0 - [] 0`
	}
	return "- - - - - - -", `true -7 -1099511627776 6 -9 [grüße] {"k":1}`, `false 0 0 0 0 [] 0`
}

// storedState is a state as GET /v1/state shows it, without a text if that
// can't be said.
type storedState struct{ typename, text string }

// stored is what suite/types has in its states after set.
func (k sdk) stored() map[string]storedState {
	if k.twoPointX {
		stored := map[string]storedState{}
		for _, name := range []string{"a_bool", "an_int", "a_long", "a_float", "a_double", "a_string", "a_custom"} {
			stored[name] = storedState{typename: "io.jetfn.types/bytes"}
		}
		return stored
	}
	stored := map[string]storedState{
		"a_bool": {"io.statefun.types/bool", "true"}, "an_int": {"io.statefun.types/int", "-7"},
		"a_float": {"io.statefun.types/float", "1.5"}, "a_string": {"io.statefun.types/string", "grüße"},
		"a_custom": {"suite/thing", `{"k":1}`},
	}
	if k.noLong == "" {
		stored["a_long"] = storedState{"io.statefun.types/long", "-1099511627776"}
		stored["a_double"] = storedState{"io.statefun.types/double", "-2.25"}
	}
	return stored
}

// failure is the status of a function's error.
func (k sdk) failure() int {
	if k.over == inProcess {
		return 0
	}
	return 500
}

func (k sdk) unboundReason() string {
	if k.closes != "" {
		return "protocol"
	}
	return "status"
}
