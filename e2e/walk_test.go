//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const walkModule = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: %s
  failure: {attempts: 2, backoff: {min: 1ms, max: 5ms}}
`

// shop counts in the state "seen" of each address; its checkout is broken for
// a while.
type shop struct{ broken atomic.Bool }

func (s *shop) count(b batch) (e effects, err error) {
	seen, known := b.states["seen"]
	if !known {
		return effects{missing: []string{"seen"}}, nil
	}
	e.set = map[string]value{"seen": longValue(seen.long() + uint64(len(b.invocations)))}
	return e, nil
}

func (s *shop) checkout(b batch) (effects, error) {
	if s.broken.Load() {
		return effects{}, errors.New("division by zero in checkout.go:12")
	}
	return s.count(b)
}

// walk is the operator's: the app, and the environment of the commands.
type walk struct {
	t   *testing.T
	app *app
	env []string
}

// sh runs a block of the documentation.
func (w *walk) sh(block string) result {
	w.t.Helper()
	r := run(w.t, command{path: "sh", args: []string{"-ec", block}, env: w.env, dir: w.t.TempDir()})
	w.t.Logf("%s\n%s%s", block, r.stdout, r.stderr)
	return r
}

func (w *walk) must(block string, wants ...string) string {
	w.t.Helper()
	r := w.sh(block)
	if r.code != 0 {
		w.t.Fatalf("%s\nended with %d: %s", block, r.code, r.stderr)
	}
	for _, want := range wants {
		if !regexp.MustCompile(want).MatchString(r.stdout) {
			w.t.Errorf("%s\nprinted\n%s\nwhich has no %s", block, r.stdout, want)
		}
	}
	return r.stdout
}

// TestAnOperatorsWalkThroughDeadLetters does what docs/operations.md says, and
// has jetfn killed in the middle of the replay.
func TestAnOperatorsWalkThroughDeadLetters(t *testing.T) {
	t.Parallel()
	const failing, waiting, addresses = 500, 40, 20
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## A walk through 500 dead letters\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := commandBlocks(section)
	if len(blocks) != 5 {
		t.Fatalf("the walk has the blocks %q, want 5", blocks)
	}

	s := &shop{}
	s.broken.Store(true)
	url := serve(t, functions{"shop/checkout": s.checkout, "shop/cart": s.count})
	a := startApp(t, fmt.Sprintf(walkModule, url))
	bin := t.TempDir()
	if err := os.Symlink(a.binary, filepath.Join(bin, "jetfn")); err != nil {
		t.Fatal(err)
	}
	w := &walk{t: t, app: a, env: []string{"JETFN_SERVER=http://" + a.http, "PATH=" + bin + ":" + os.Getenv("PATH")}}
	nc, _ := a.connect(t)
	publish := func(function string, n int) {
		for i := range n {
			if _, err := nc.Request(fmt.Sprintf("t.fn.shop.%s.c%d", function, i%addresses), []byte(strconv.Itoa(i)), patience); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish("checkout", failing)
	publish("cart", addresses)
	eventually(t, time.Minute, "all to be dead letters", func() error {
		if n := len(w.letters("")); n != failing {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
	if n := a.metric(t, "jetfn_functions_deadLetters"); n != failing {
		t.Errorf("jetfn_functions_deadLetters = %v, want %d", n, failing)
	}
	for i := range addresses { // nobody else noticed
		w.seen("shop/cart", i, 1)
	}

	w.env = append(w.env, "ID="+w.letters("")[0])
	w.must(blocks[0], `shop/checkout/c\d+ +status +2 `, `(?m)^error +.*division by zero in checkout.go:12`, `(?m)^status +500$`, `(?m)^replayed +-$`)
	w.must(blocks[1], `shop/checkout is paused`)
	publish("checkout", waiting)
	eventually(t, 20*time.Second, "what comes now to wait", func() error {
		if out := w.must("jetfn fn ls"); !regexp.MustCompile(fmt.Sprintf(`shop/checkout +paused +%d `, waiting)).MatchString(out) {
			return errors.New(out)
		}
		return nil
	})
	s.broken.Store(false)
	w.must(blocks[2], `shop/checkout is active`, `replayed \S+ to shop/checkout/`)
	w.total(waiting+1, addresses)

	// jetfn dies when a part has been replayed; said again, it does the rest.
	interrupted := make(chan result, 1)
	go func() { interrupted <- w.sh(blocks[3]) }()
	eventually(t, 30*time.Second, "a part to be replayed", func() error {
		if n := w.sum(addresses); n < waiting+100 {
			return fmt.Errorf("%d are through", n)
		}
		return nil
	})
	a.kill()
	if r := <-interrupted; r.code == 0 {
		t.Errorf("the replay ended with 0 although jetfn was killed: %+v", r)
	}
	a.restart(t)
	out := w.must(blocks[3], `replayed \d+, \d+ were before, 0 can't be`)
	var again, before int
	if _, err := fmt.Sscanf(out, "replayed %d, %d were before", &again, &before); err != nil || again+before != failing || before < 100 {
		t.Errorf("the second replay says %q, want %d in all, at least 100 of them before", out, failing)
	}
	w.total(failing+waiting, addresses)
	for i := range addresses {
		w.seen("shop/checkout", i, (failing+waiting)/addresses)
	}
	if n := len(w.letters("?replayed=false")); n != 0 {
		t.Errorf("%d dead letters are left that weren't replayed, want none", n)
	}
	w.must(blocks[4], fmt.Sprintf(`(?m)^dropped %d$`, failing))
	if n := len(w.letters("")); n != 0 {
		t.Errorf("%d dead letters are left, want none", n)
	}
}

// letters are the ids of all dead letters that the query selects.
func (w *walk) letters(query string) (ids []string) {
	w.t.Helper()
	for next := ""; ; {
		path := "/v1/dlq" + query
		if next != "" {
			path += map[bool]string{true: "?", false: "&"}[query == ""] + "after=" + next
		}
		r := w.app.do(w.t, http.MethodGet, path, "", nil)
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		if err := json.Unmarshal(r.body, &page); err != nil || r.status != http.StatusOK {
			w.t.Fatalf("GET %s = %d %s", path, r.status, r.body)
		}
		for _, l := range page.Items {
			ids = append(ids, l.ID)
		}
		if next = page.Next; next == "" {
			return ids
		}
	}
}

// sum is how many messages the checkout has counted.
func (w *walk) sum(addresses int) (sum int) {
	w.t.Helper()
	for i := range addresses {
		n, err := w.app.long(w.t, "shop/checkout", fmt.Sprintf("c%d", i), "seen")
		if err != nil {
			w.t.Fatal(err)
		}
		sum += int(n)
	}
	return sum
}

// total waits until the checkout has counted so many, and not more.
func (w *walk) total(want, addresses int) {
	w.t.Helper()
	eventually(w.t, time.Minute, fmt.Sprintf("%d messages to be through", want), func() error {
		if n := w.sum(addresses); n != want {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
}

func (w *walk) seen(function string, i, want int) {
	w.t.Helper()
	id := fmt.Sprintf("c%d", i)
	eventually(w.t, 20*time.Second, function+"/"+id, func() error {
		n, err := w.app.long(w.t, function, id, "seen")
		if err == nil && n != uint64(want) {
			err = fmt.Errorf("seen = %d, want %d", n, want)
		}
		return err
	})
}
