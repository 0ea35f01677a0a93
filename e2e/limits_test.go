//go:build e2e

package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// burst answers "<n>" with n messages to e2e/count, for fifty ids, and
// "state <n>" and "emit <n>" with a state and an egress message of n bytes.
func burst(b batch) (e effects, err error) {
	if _, known := b.states["seen"]; !known {
		return effects{missing: []string{"seen"}}, nil
	}
	for _, inv := range b.invocations {
		do, number, _ := strings.Cut(inv.value.text(), " ")
		if number == "" {
			do, number = "send", do
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return e, err
		}
		switch do {
		case "state":
			e.set = map[string]value{"seen": {typename: longType, data: make([]byte, n)}}
		case "emit":
			e.egress = append(e.egress, keyed("e2e", "counts", "burst", make([]byte, n)))
		default:
			for i := range n {
				e.sends = append(e.sends, send{target: address{"e2e", "count", strconv.Itoa(i % 50)}, value: inv.value})
			}
		}
	}
	return e, nil
}

func TestOneCallMaySend100000Messages(t *testing.T) {
	t.Parallel()
	const n = 100_000
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, functions{"e2e/burst": burst, "e2e/count": count})))
	_, js := a.connect(t)
	a.send(t, "e2e/burst", "b", strconv.Itoa(n))
	a.send(t, "e2e/count", "other", "x")
	a.waitCount(t, "other", 1)
	for i := range 50 {
		eventually(t, 4*time.Minute, "all messages of the burst", func() error {
			got, err := a.long(t, "e2e/count", strconv.Itoa(i), "seen")
			if err == nil && got != n/50 {
				err = fmt.Errorf("e2e/count/%d has seen %d, want %d", i, got, n/50)
			}
			return err
		})
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, the first %+v", len(d), d[0])
	}
}

func TestACallBeyondALimitDeadLettersAloneWithTheLimitNamed(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, functions{"e2e/burst": burst, "e2e/count": count})),
		withArgs("--max-sends", "100", "--max-state", "1000", "--max-commit", "20000", "--max-reply", "50000"))
	_, js := a.connect(t)
	want := map[string]int{}
	for message, limit := range map[string]string{"101": "100", "state 1001": "1000", "emit 20001": "20000", "emit 60000": "50000"} {
		a.send(t, "e2e/burst", "b", message)
		want["limit "+limit]++
	}
	a.send(t, "e2e/burst", "b", "100")
	for i := range 50 {
		a.waitCount(t, strconv.Itoa(i), 2)
	}
	got := map[string]int{}
	eventually(t, 20*time.Second, "the dead letters", func() error {
		clear(got)
		for _, d := range deadLetters(t, js) {
			named := "none"
			for _, limit := range []string{"20000", "50000", "1000", "100"} {
				if strings.Contains(d.Error, limit) {
					named = limit
					break
				}
			}
			got[d.Reason+" "+named]++
		}
		return wantCounts(got, want)
	})
}
