package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jetfn/jetfn/internal/certtest"
	"github.com/jetfn/jetfn/internal/demo"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"jetfn": main})
}

// patience is how long a script waits for what comes soon on a machine that has
// nothing else to do.
const patience = time.Minute

// TestCommands runs the scripts, each of which is told in its own words what
// it shows. Every script has free ports in $HTTP and $NATS, the URL of a
// greeter in $GREETER, a certificate for clients and servers, its key and its
// authority in $TLS_CERT, $TLS_KEY and $TLS_CA, and the commands "await", which
// waits until the application at an address is ready, and "untilok", which
// repeats a command until it succeeds.
func TestCommands(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	cert, key := authority.Issue("jetfn")
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			greeter := httptest.NewServer(demo.Greeter())
			env.Defer(greeter.Close)
			env.Setenv("GREETER", greeter.URL)
			env.Setenv("TLS_CA", authority.CA)
			env.Setenv("TLS_CERT", cert)
			env.Setenv("TLS_KEY", key)
			for _, name := range []string{"HTTP", "NATS", "OTHER"} {
				address, err := freeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, address)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"await":     await,
			"awaitout":  awaitout,
			"expand":    expand,
			"exits":     exits,
			"keep":      keep,
			"terminate": terminate,
			"untilok":   untilOK,
		},
	})
}

// portsGiven counts the ports that were given to tests, from a random start on.
var portsGiven = func() *atomic.Uint32 {
	n := &atomic.Uint32{}
	n.Store(rand.Uint32N(1 << 20))
	return n
}()

// freeAddress is one that nobody uses now, and whose port nobody else gets:
// other tests of this process get the next ones, other packages have other
// ranges, and those that the system gives to whoever asks for any are higher.
func freeAddress() (string, error) {
	var err error
	for range 100 {
		var ln net.Listener
		if ln, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(24_000+int(portsGiven.Add(1)%4000))); err == nil {
			return ln.Addr().String(), ln.Close()
		}
	}
	return "", err
}

// await waits until the application at the address is ready.
func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: await host:port")
	}
	client := &http.Client{Timeout: time.Second}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		response, err := client.Get("http://" + args[0] + "/readyz")
		if err != nil {
			continue
		}
		ts.Check(response.Body.Close())
		if response.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("%s is not ready in time", args[0])
}

// untilOK repeats a command until it succeeds.
func untilOK(ts *testscript.TestScript, _ bool, args []string) {
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = ts.Exec(args[0], args[1:]...); err == nil {
			return
		}
	}
	ts.Fatalf("%s: %v", strings.Join(args, " "), err)
}

// awaitout runs a command until its output matches the expression that comes
// first.
func awaitout(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: awaitout regexp command…")
	}
	wanted, err := regexp.Compile(args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s does not show %s in time", strings.Join(args[1:], " "), args[0])
}

// keep sets a variable to what the expression's parentheses find in the last
// output.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: keep name regexp")
	}
	wanted, err := regexp.Compile(args[1])
	ts.Check(err)
	found := wanted.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("the last output has no %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// expand replaces $NAMES in a file by the script's environment.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// exits runs a command that has to end with the code that comes first.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits code command…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		_, digits, _ := strings.Cut(err.Error(), "exit status ")
		if _, scanErr := fmt.Sscanf(digits, "%d", &code); scanErr != nil {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// terminate sends SIGTERM to what runs in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, command := range ts.BackgroundCmds() {
		ts.Check(command.Process.Signal(syscall.SIGTERM))
	}
}
