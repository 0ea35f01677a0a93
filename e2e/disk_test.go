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
