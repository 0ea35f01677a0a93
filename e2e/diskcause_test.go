//go:build e2e && linux

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// countAndAnswer counts messages, and answers each with as many bytes to the egress.
func countAndAnswer(size int) functions {
	text := value{typename: "a/b", data: bytes.Repeat([]byte("x"), size)}
	return functions{"shop/out": func(b batch) (effects, error) {
		e, err := count(b)
		e.egress = nil
		for range b.invocations {
			if err == nil && len(e.missing) == 0 {
				e.egress = append(e.egress, egressMessage{"shop", "orders", text})
			}
		}
		return e, err
	}}
}

func TestAnOperatorFindsAnEgressThatTakesTheRoomAndGoesOnWithoutARestart(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "interval"} {
		t.Run("sync "+sync, func(t *testing.T) {
			t.Parallel()
			egressTakesTheRoom(t, sync)
		})
	}
}

func egressTakesTheRoom(t *testing.T, sync string) {
	t.Helper()
	disk := smallDisk(t, "24m") // the server takes 18 of it
	o := causeApp(t, countAndAnswer(200_000), withData(disk+"/data"), withArgs("--sync", sync))
	accepted := o.fills()
	nc, _ := o.a.connect(t)
	if m, err := nc.Request("t.fn.shop.out.a0", make([]byte, 1<<20), patience); err != nil {
		t.Error(err)
	} else if !strings.Contains(string(m.Data), `"err_code":10023`) {
		t.Errorf("a publish is answered %s, want the reason", m.Data)
	}
	most := o.a.metric(t, "jetfn_nats_maxStoredBytes")
	eventually(t, 10*time.Second, "metrics that name the cause", func() error {
		// The journal has the rest, until it is trimmed.
		used, egress := o.a.metric(t, "jetfn_nats_storedBytes"), o.a.streamBytes(t, "egress")
		if most == 0 || used/most <= 0.6 || egress/used < 0.4 || o.a.metric(t, "jetfn_partition_applyLag") != 0 {
			return fmt.Errorf("%v of %v bytes, %v of the egress stream, applyLag %v", used, most, egress, o.a.metric(t, "jetfn_partition_applyLag"))
		}
		return nil
	})
	if err := o.a.ready(); err != nil {
		t.Errorf("readyz = %v, want it ready", err)
	}
	for _, line := range []string{`"reason":"busy".*"message":"request refused"`, `"little storage is left, new messages are refused"`} {
		eventually(t, 10*time.Second, line+" in the log", func() error {
			if !regexp.MustCompile(line).MatchString(o.a.output.String()) {
				return errors.New("it isn't there")
			}
			return nil
		})
	}
	o.makesRoom(accepted, 4)
}

func TestEffectsForWhichThereIsNoRoomWaitUntilThereIs(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "24m") // the server takes 18 of it
	o := causeApp(t, countAndAnswer(250_000), withData(disk+"/data"))
	if r := o.a.cli(t, "fn", "pause", "shop/out"); r.code != 0 {
		t.Fatalf("fn pause = %+v", r)
	}
	const backlog = 60 // which makes 15 MB, and as much in the journal
	for i := range backlog {
		o.a.send(t, "shop/out", fmt.Sprintf("a%d", i), "x")
	}
	if r := o.a.cli(t, "fn", "resume", "shop/out"); r.code != 0 {
		t.Fatalf("fn resume = %+v", r)
	}
	full := regexp.MustCompile(`"component":"nats".*resource limits exceeded for server`)
	eventually(t, 30*time.Second, "the server to be full", func() error {
		if !full.MatchString(o.a.output.String()) {
			return errors.New("its log doesn't say so")
		}
		return nil
	})
	if err := o.a.ready(); err != nil {
		t.Errorf("readyz = %v, want it ready", err)
	}
	o.makesRoom(backlog, backlog)
}

// out waits until so many egress messages are out.
func (o operator) out(n int) {
	o.t.Helper()
	eventually(o.t, 10*time.Second, "what is accepted to go through", func() error {
		if out := o.a.metric(o.t, "jetfn_egress_out"); out != float64(n) {
			return fmt.Errorf("%v of %d egress messages are out", out, n)
		}
		return nil
	})
}

// fills sends one by one until there is no room, and returns how many messages
// were accepted.
func (o operator) fills() (accepted int) {
	t := o.t
	t.Helper()
	for {
		r := o.a.do(t, http.MethodPost, fmt.Sprintf("/v1/send/shop/out/a%d", accepted%4), "text/plain", []byte("x"))
		if r.status == http.StatusAccepted && accepted < 1000 {
			accepted++
			o.out(accepted)
			continue
		}
		if r.status != http.StatusTooManyRequests || !strings.Contains(string(r.body), "NATS has no storage left") {
			t.Fatalf("after %d sends: %d %s, want 429 with the reason", accepted, r.status, r.body)
		}
		return accepted
	}
}

// streamBytes is what a stream takes.
func (a *app) streamBytes(t *testing.T, stream string) (n float64) {
	t.Helper()
	text := string(a.do(t, http.MethodGet, "/metrics", "", nil).body)
	_, rest, ok := strings.Cut(text, `jetfn_stream_bytes{stream="`+stream+`"} `)
	if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
		t.Fatalf("no bytes of the stream %s: %v", stream, err)
	}
	return n
}

// makesRoom removes the egress messages, as a reader would, until all that was
// accepted for so many addresses has gone through.
func (o operator) makesRoom(accepted, addresses int) {
	t := o.t
	t.Helper()
	_, js := o.a.connect(t)
	stream, err := js.Stream(t.Context(), "T_EGRESS")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "all to go on", func() error { // the journal is trimmed every five seconds
		if n := o.a.metric(t, "jetfn_egress_out"); n != float64(accepted) {
			return errors.Join(stream.Purge(t.Context()), fmt.Errorf("%v of %d egress messages are out", n, accepted))
		}
		return nil
	})
	eventually(t, 10*time.Second, "new messages to be taken", func() error {
		if r := o.a.do(t, http.MethodPost, "/v1/send/shop/out/a0", "text/plain", []byte("x")); r.status != http.StatusAccepted {
			return fmt.Errorf("a send = %d %s", r.status, r.body)
		}
		return nil
	})
	eventually(t, 10*time.Second, "each message to count once", func() error {
		var all uint64
		for i := range addresses {
			n, err := o.a.long(t, "shop/out", fmt.Sprintf("a%d", i), "seen")
			if err != nil {
				return err
			}
			all += n
		}
		if all != uint64(accepted+1) {
			return fmt.Errorf("%d messages counted, %d were accepted", all, accepted+1)
		}
		return nil
	})
}

func TestAnOperatorFindsADiskThatRefusesWrites(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "24m")
	o := causeApp(t, countAndAnswer(1), withData(disk+"/data"))
	for range 3 {
		o.a.send(t, "shop/out", "a", "x")
	}
	eventually(t, 10*time.Second, "what is sent first", func() error {
		out, lag := o.a.metric(t, "jetfn_egress_out"), o.a.metric(t, "jetfn_partition_applyLag")
		if out != 3 || lag != 0 { // effects that wait would make the end take longer
			return fmt.Errorf("%v of 3 are out, effects of %v commits wait", out, lag)
		}
		return nil
	})
	f, err := os.Create(disk + "/filler")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) { // until there is no space left
		t.Errorf("the disk did not fill up: %v", err)
	}
	_ = f.Close()
	r, err := request(t, http.MethodPost, "http://"+o.a.http+"/v1/send/shop/out/a", "text/plain", bytes.Repeat([]byte("x"), 200_000))
	if err == nil && (r.status != http.StatusGatewayTimeout || !strings.Contains(string(r.body), "outcome unknown")) {
		t.Errorf("a send = %d %s, want that its outcome is unknown", r.status, r.body)
	}
	if code := o.a.wait(t, 40*time.Second); code != 1 {
		t.Errorf("jetfn ended with code %d, want 1", code)
	}
	for _, line := range []string{
		`"component":"nats".*[Cc]ritical write error.*no space left on device`, `"dir":".*"message":"the disk refuses writes, ending"`,
		`(?m)^jetfn: the data directory .* can't be written, what was acknowledged is safe; make room and start again: `,
	} {
		if log := o.a.output.String(); !regexp.MustCompile(line).MatchString(log) {
			t.Errorf("no %s in the log\n%s", line, log)
		}
	}
	if err := os.Remove(disk + "/filler"); err != nil {
		t.Fatal(err)
	}
	o.a.restart(t)
	o.a.send(t, "shop/out", "a", "x")
	eventually(t, 10*time.Second, "what was accepted", func() error {
		n, err := o.a.long(t, "shop/out", "a", "seen")
		if err == nil && n != 4 && n != 5 { // the one that is unknown may be there
			err = fmt.Errorf("%d messages counted, 4 were accepted and 1 is unknown", n)
		}
		return err
	})
}
