//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// reminder sends "<id> <text>" to e2e/count at id after two seconds, or after
// an hour what is to be taken back before, under the token <id>; "cancel <id>"
// takes it back.
func reminder(b batch) (e effects, err error) {
	for _, inv := range b.invocations {
		id, rest, _ := strings.Cut(inv.value.text(), " ")
		if id == "cancel" {
			e.delayed = append(e.delayed, delayed{token: rest, cancel: true})
			continue
		}
		after := 2 * time.Second
		if strings.HasPrefix(id, "taken-back") {
			after = time.Hour
		}
		e.delayed = append(e.delayed, delayed{
			after: after, target: address{"e2e", "count", id}, value: inv.value, token: id,
		})
	}
	return e, nil
}

func TestDelayedMessagesSurviveAKillAndCancelledOnesDoNot(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, functions{"e2e/reminder": reminder, "e2e/count": count})))
	_, js := a.connect(t)
	start := time.Now()
	for n := range 20 {
		a.send(t, "e2e/reminder", "r", fmt.Sprintf("early-%d x", n))
		a.send(t, "e2e/reminder", "r", fmt.Sprintf("taken-back-%d x", n))
	}
	for n := range 20 {
		a.send(t, "e2e/reminder", "r", fmt.Sprintf("cancel taken-back-%d", n))
	}
	// Another id's token: cancelling it from here does nothing.
	a.send(t, "e2e/reminder", "other", "cancel early-0")
	a.kill()
	a.restart(t)
	if took := time.Since(start); took > 2*time.Second {
		t.Logf("the restart came after %v: some messages may have been sent before the kill", took)
	}
	byKey := counts(t, js, 20)
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("all messages came after %v, want two seconds", took)
	}
	for n := range 20 {
		if got := byKey[fmt.Sprintf("early-%d", n)]; len(got) != 1 || got[0] != "1 x" {
			t.Errorf("early-%d got %v, want one message", n, got)
		}
	}
	a.kill() // what has fired doesn't fire again
	a.restart(t)
	time.Sleep(2500 * time.Millisecond)
	counts(t, js, 20)
	if n := a.metric(t, "jetfn_partition_timersPending"); n != 0 {
		t.Errorf("%v delayed messages are left, want none: they have come, or were cancelled", n)
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, the first %+v", len(d), d[0])
	}
}
