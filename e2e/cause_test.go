//go:build e2e

package e2e_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// operator runs the commands of docs/operations.md "Finding a cause".
type operator struct {
	t *testing.T
	a *app
}

// sees runs a command until its output matches all patterns.
func (o operator) sees(args string, patterns ...string) {
	o.t.Helper()
	eventually(o.t, 30*time.Second, "jetfn "+args, func() error {
		r := run(o.t, command{path: o.a.binary, args: strings.Fields(args), env: []string{"JETFN_SERVER=http://" + o.a.http}, dir: o.t.TempDir()})
		for _, p := range patterns {
			if !regexp.MustCompile("(?m)" + p).MatchString(r.stdout) {
				return fmt.Errorf("no %q in\n%s%s", p, r.stdout, r.stderr)
			}
		}
		return nil
	})
}

func causeApp(t *testing.T, fs functions, opts ...option) operator {
	t.Helper()
	module := fmt.Sprintf("kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: %q, maxConcurrentRequests: 2, failure: {attempts: 4, backoff: {min: 200ms, max: 1s}}}\n"+
		"---\nkind: io.jetfn.nats.v1/egress\nspec: {id: shop/orders}\n", serve(t, fs))
	return operator{t, startApp(t, module, append(opts, withArgs("--partitions", "4"))...)}
}

func TestAnOperatorFindsASlowFunction(t *testing.T) {
	release := make(chan struct{})
	o := causeApp(t, functions{"shop/slow": func(batch) (effects, error) {
		<-release
		return effects{}, nil
	}})
	for i := range 6 {
		o.a.send(t, "shop/slow", fmt.Sprintf("a%d", i%3), "x")
	}
	// Two calls are in flight, one address has to wait for them.
	o.sees("top --once --interval 200ms", `^shop/slow .* 2 +0 +0 +0 +active$`, `in flight 2 of 1024`)
	o.sees("top --once --interval 200ms -o json", `"backlog":4`)
	var running, waiting int
	for i := range 3 {
		r := run(t, command{path: o.a.binary, args: []string{"inspect", fmt.Sprintf("shop/slow/a%d", i)}, env: []string{"JETFN_SERVER=http://" + o.a.http}, dir: t.TempDir()})
		running += strings.Count(r.stdout, "is being called\n")
		waiting += strings.Count(r.stdout, "waits for a place among the calls in flight")
	}
	if running != 2 || waiting != 1 {
		t.Errorf("%d addresses are being called and %d wait for a place, want 2 and 1", running, waiting)
	}
	close(release)
	o.sees("top --once --interval 200ms -o json", `"type":"shop/slow","in":6,"done":6`, `"backlog":0`)
}

func TestAnOperatorFindsAFailingFunction(t *testing.T) {
	o := causeApp(t, functions{"shop/bad": func(batch) (effects, error) { return effects{}, errors.New("the price list is missing") }})
	o.a.send(t, "shop/bad", "a", "hello")
	o.sees("inspect shop/bad/a", `^does +waits to be called again$`, `^call +1 message in attempt \d`, `^last error .*the price list is missing`, `"hello"`)
	o.sees("top --once --interval 200ms", `^shop/bad .* 1 +active$`) // dead in the end
	o.sees("inspect shop/bad/a", `^does +nothing$`, `^dead letter .*status: .*the price list is missing`)
	if log := o.a.output.String(); strings.Count(log, `"message dead-lettered"`) != 1 || !strings.Contains(log, `"dlq_id":"`) || !strings.Contains(log, `"attempts":4`) {
		t.Errorf("log = %s, want one line with dlq_id and 4 attempts", log)
	}
}

func TestAnOperatorFindsAStuckPartition(t *testing.T) {
	big := strings.Repeat("x", 2000)
	o := causeApp(t, functions{"shop/out": func(batch) (effects, error) {
		return effects{egress: []egressMessage{{"shop", "orders", value{typename: "a/b", data: []byte(big)}}}}, nil
	}}, withArgs("--egress-max-bytes", "20000"))
	for i := range 40 {
		o.a.send(t, "shop/out", fmt.Sprintf("a%d", i), "x")
	}
	eventually(t, 30*time.Second, "egress messages to wait", func() error {
		pending, lag := o.a.metric(t, "jetfn_partition_egressPending"), o.a.metric(t, "jetfn_partition_applyLag")
		if pending < 10 || lag < 1 || o.a.metric(t, "jetfn_stream_maxBytes") != 20000 {
			return fmt.Errorf("egressPending %v, applyLag %v", pending, lag)
		}
		return nil
	})
	o.sees("partitions", `^\d+ +\S+ +up +[1-9]\d* +\d+ +[1-9]\d* +[1-9]\d* `)
	_, js := o.a.connect(t)
	stream, err := js.Stream(t.Context(), "T_EGRESS")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, "all to go out once there is room", func() error { // a reader that makes room
		if n := o.a.metric(t, "jetfn_egress_out"); n != 40 {
			return errors.Join(stream.Purge(t.Context()), fmt.Errorf("%v egress messages are out", n))
		}
		return nil
	})
}
