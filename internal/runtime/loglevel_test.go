package runtime_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/internal/runtime"
)

func TestTheLogsLevelChangesWhileItRuns(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: greeter(t)})
	post := func(body string) (int, string) {
		t.Helper()
		status, _, text := request(t, http.MethodPost, "http://"+w.HTTP+"/v1/log", body)
		return status, strings.TrimSpace(text)
	}
	w.send("example/greeter/Ada")
	eventually(t, "Ada is greeted", func() bool { return w.seen("example/greeter/Ada") == "1" })
	if strings.Contains(w.log.String(), `"level":"debug"`) {
		t.Errorf("log = %s, want no line of level debug yet", w.log)
	}
	if status, body := post(`{"level":"debug"}`); status != http.StatusOK || body != `{"level":"debug"}` {
		t.Errorf("POST /v1/log = %d %s, want the level it has now", status, body)
	}
	if _, body := tryGet(t, "http://"+w.HTTP+"/v1/log"); strings.TrimSpace(body) != `{"level":"debug"}` {
		t.Errorf("GET /v1/log = %s, want debug", body)
	}
	for body, want := range map[string]string{`{"level":"loud"}`: "bad-request", `debug`: "bad-body", `{}`: "bad-body"} {
		if status, text := post(body); status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("POST /v1/log %s = %d %s, want 400 %s", body, status, text, want)
		}
	}
	if status, _ := post(`{"level":"error"}`); status != http.StatusOK {
		t.Errorf("POST /v1/log = %d, want 200", status)
	}
	before := len(w.log.String())
	w.stop()
	if after := w.log.String()[before:]; strings.Contains(after, `"level":"info"`) {
		t.Errorf("log after the change to error = %s, want no info", after)
	}
}
