//go:build e2e && linux

package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// smallDisk is a tmpfs of its own; mounting takes root, as in a container.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if os.Geteuid() == 0 && os.Getenv("CI") != "" {
			t.Fatalf("mount a tmpfs: %v", err)
		}
		t.Skipf("a full disk needs a file system of its own, and mounting one needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestAFullDiskIsAnErrorThatLosesNothingAccepted(t *testing.T) {
	t.Parallel()
	t.Run("filled by messages", func(t *testing.T) {
		t.Parallel()
		testFullDisk(t, func(string) {})
	})
	t.Run("filled by somebody else", func(t *testing.T) {
		t.Parallel()
		testFullDisk(t, func(disk string) {
			f, err := os.Create(disk + "/filler")
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(f, zeros{}) // until there is no space left
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the disk did not fill up: %v", err)
			}
			_ = f.Close()
		})
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// testFullDisk sends until it is refused, gives the disk more room, and wants
// all that was accepted.
func testFullDisk(t *testing.T, fill func(disk string)) {
	t.Helper()
	disk := smallDisk(t, "24m")
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline())), withData(disk+"/data"))
	const id = "c"
	for range 3 {
		a.send(t, "e2e/count", id, "x")
	}
	a.waitCount(t, id, 3)
	fill(disk)

	accepted, unknown, refusal := sendUntilRefused(t, a, id)
	accepted += 3
	if refusal == "" {
		t.Fatalf("%d sends of 200 kB were accepted on 24 MB", accepted)
	}
	t.Logf("after %d accepted sends: %s", accepted, refusal)
	text := strings.ToLower(refusal + a.output.String())
	if !strings.Contains(text, "space") && !strings.Contains(text, "room") {
		t.Errorf("neither the answer nor the log says that there is no space: %s", refusal)
	}
	a.kill()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=256m"); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	var seen uint64
	eventually(t, 30*time.Second, "all that was accepted", func() error {
		n, err := a.long(t, "e2e/count", id, "seen")
		if err == nil && n < uint64(accepted) {
			err = fmt.Errorf("%d of %d", n, accepted)
		}
		seen = n
		return err
	})
	if seen > uint64(accepted+unknown) {
		t.Errorf("%d messages counted, %d were accepted and %d unknown", seen, accepted, unknown)
	}
	a.send(t, "e2e/count", id, "x")
	a.waitCount(t, id, seen+1)
}

func sendUntilRefused(t *testing.T, a *app, id string) (accepted, unknown int, refusal string) {
	t.Helper()
	body := bytes.Repeat([]byte("x"), 200_000)
	for range 400 {
		r, err := request(t, http.MethodPost, "http://"+a.http+"/v1/send/e2e/count/"+id, "text/plain", body)
		switch {
		case err != nil:
			return accepted, 1, err.Error()
		case r.status == http.StatusAccepted:
			accepted++
		case strings.Contains(string(r.body), `"accepted":false`):
			return accepted, 0, string(r.body)
		default:
			return accepted, 1, string(r.body)
		}
	}
	return accepted, 0, ""
}

const reserveModule = `
kind: io.statefun.endpoints.v2/http
spec: {functions: e2e/*, urlPathTemplate: "%s"}
---
kind: io.jetfn.nats.v1/ingress
spec: {id: e2e/in, targets: [e2e/count]}
---
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/*}
`

func TestWhatWasAcceptedIsFinishedWhenThereIsNoRoomForMore(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "40m") // the server takes 30 of it
	onlyCount := func(b batch) (effects, error) {
		e, err := count(b)
		e.egress = nil
		return e, err
	}
	functions := functions{"e2e/count": onlyCount, "e2e/other": onlyCount}
	a := startApp(t, fmt.Sprintf(reserveModule, serve(t, functions)), withData(disk+"/data"))
	nc, js := a.connect(t)
	filler, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FILLER", Subjects: []string{"filler"}})
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 100_000)
	for range 200 {
		if _, err := js.Publish(t.Context(), "filler", body); err != nil {
			t.Fatal(err)
		}
	}
	if r := a.cli(t, "fn", "pause", "e2e/count"); r.code != 0 {
		t.Fatalf("fn pause = %+v", r)
	}
	const ids = 8
	accepted, refusal := 0, response{}
	for i := 0; refusal.status == 0 && i < 1000; i++ {
		r := a.do(t, http.MethodPost, fmt.Sprintf("/v1/send/e2e/count/a%d", i%ids), "text/plain", body)
		if r.status != http.StatusAccepted {
			refusal = r
			continue
		}
		accepted++
	}
	text := string(refusal.body)
	if refusal.status != http.StatusTooManyRequests || !strings.Contains(text, "NATS has no storage left for new messages") || !strings.Contains(text, `"accepted":false`) {
		t.Fatalf("after %d sends: %d %s, want 429 with the reason", accepted, refusal.status, text)
	}
	t.Logf("%d messages of %d bytes wait when there is no room for more", accepted, len(body))
	if r := a.do(t, http.MethodPost, "/v1/call/e2e/other/a", "text/plain", body); r.status != http.StatusTooManyRequests {
		t.Errorf("a call = %d %s, want 429", r.status, r.body)
	}
	for subject, code := range map[string]string{"t.fn.e2e.count.a0": `"err_code":10023`, "t.ingress.e2e.in.a0": `"err_code":10077`} {
		eventually(t, 10*time.Second, subject+" to refuse", func() error {
			if m, err := nc.Request(subject, body, 5*time.Second); err != nil || !strings.Contains(string(m.Data), code) {
				if err == nil && !strings.Contains(string(m.Data), "error") {
					accepted++ // it was small enough
				}
				return fmt.Errorf("it answers %+v, %w, want %s", m, err, code)
			}
			return nil
		})
	}
	if r := a.cli(t, "fn", "resume", "e2e/count"); r.code != 0 {
		t.Fatalf("fn resume = %+v", r)
	}
	all := func() error {
		sum := 0
		for i := range ids {
			n, err := a.long(t, "e2e/count", fmt.Sprintf("a%d", i), "seen")
			if err != nil {
				return err
			}
			sum += int(n)
		}
		if sum != accepted {
			return fmt.Errorf("%d of %d messages counted", sum, accepted)
		}
		return nil
	}
	eventually(t, 30*time.Second, "all that was accepted, although there is no room", all)
	eventually(t, 10*time.Second, "all effects to be in place", func() error {
		if lag := a.metric(t, "jetfn_partition_applyLag"); lag != 0 {
			return fmt.Errorf("those of %v commits are not", lag)
		}
		return nil
	})
	if err := filler.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, send := range []func() error{
		func() error {
			if r := a.do(t, http.MethodPost, "/v1/send/e2e/count/a1", "text/plain", body); r.status != http.StatusAccepted {
				return fmt.Errorf("a send = %d %s", r.status, r.body)
			}
			return nil
		},
		func() error {
			_, err := js.Publish(t.Context(), "t.ingress.e2e.in.a2", body)
			return err
		},
	} {
		eventually(t, 10*time.Second, "new messages to be taken", send)
		accepted++
	}
	eventually(t, 10*time.Second, "those, too", all)
	for _, line := range []string{"little storage is left, new messages are refused", "little storage is left, the ingress stream takes no records"} {
		if !strings.Contains(a.output.String(), line) { // it came soon after the first refusal
			t.Errorf("no %q in the log", line)
		}
	}
	if log := a.output.String(); strings.Contains(log, "resource limits exceeded for server") {
		t.Errorf("the reserve was used up:\n%s", log)
	}
}
