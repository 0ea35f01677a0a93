package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func shop(t *testing.T) *sdktest.App {
	t.Helper()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	return sdktest.New(t, functions)
}

func receipts(t *testing.T, app *sdktest.App) (out []Receipt) {
	t.Helper()
	for _, r := range app.Egress("shop/receipts") {
		receipt, err := receiptType().From(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, receipt)
	}
	return out
}

func TestACartIsBoughtWhenItsCustomerAsks(t *testing.T) {
	t.Parallel()
	app := shop(t)
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", 2}))
	app.Send("shop/cart", "ann", addType().Of(Add{"rum", 1}))
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", 3}))
	app.Send("shop/cart", "ann", checkoutType().Of(Checkout{}))
	app.Advance(24 * time.Hour) // the checkout that would come by itself is cancelled
	want := []Receipt{{Customer: "ann", Items: map[string]int64{"tea": 5, "rum": 1}}}
	if diff := cmp.Diff(want, receipts(t, app)); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

func TestACartThatIsLeftAloneIsBoughtByItself(t *testing.T) {
	t.Parallel()
	app := shop(t)
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", 1}))
	app.Advance(patience - time.Minute)
	app.Send("shop/cart", "ann", addType().Of(Add{"rum", 1})) // still there
	app.Advance(patience - time.Minute)
	if got := receipts(t, app); len(got) != 0 {
		t.Errorf("bought too early: %v", got)
	}
	app.Restart()
	app.Advance(2 * time.Minute)
	want := []Receipt{{Customer: "ann", Items: map[string]int64{"tea": 1, "rum": 1}}}
	if diff := cmp.Diff(want, receipts(t, app)); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

func TestNonsenseIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	app := shop(t)
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", -1}))
	app.Send("shop/cart", "ann", sdk.String().Of("hello"))
	app.Advance(time.Hour)
	letters := app.DeadLetters()
	if len(letters) != 2 || letters[0].Attempts != 1 || letters[1].Attempts != 1 {
		t.Errorf("dead letters = %+v", letters)
	}
}

// The README shows this program, and a session with it.
func TestTheReadmeShowsWhatHappens(t *testing.T) {
	t.Parallel()
	readme, program := read(t, "../../../README.md"), read(t, "main.go")
	for part := range strings.SplitSeq(block(t, readme, "```go\n"), "\n\n") {
		if !strings.Contains(program, strings.TrimSpace(part)) {
			t.Errorf("README.md shows what main.go doesn't have:\n%s", part)
		}
	}
	url := serve(t)
	curl := regexp.MustCompile(`^\$ curl -H '(.*?): (.*?)' -d '(.*?)' http://127.0.0.1:8080(.*)$`)
	var answer string
	for line := range strings.Lines(block(t, readme, "```console\n")) {
		line = strings.TrimSuffix(line, "\n")
		ask := curl.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "$ go run "):
		case ask != nil:
			answer = post(t, url+ask[4], ask[1], ask[2], ask[3])
		case answer != line:
			t.Errorf("the answer is %q, README.md says %q", answer, line)
		}
	}
	if answer == "" {
		t.Error("README.md asks for nothing")
	}
}

// serve runs the shop on free ports until the test ends.
func serve(t *testing.T) (url string) {
	t.Helper()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan jetfn.Addresses, 1)
	app, err := jetfn.New(jetfn.WithFunctions(functions), jetfn.WithEgress("shop/receipts"), jetfn.WithPartitions(4),
		jetfn.WithData(t.TempDir()), jetfn.WithHTTP("127.0.0.1:0"), jetfn.WithNATSListen("127.0.0.1:0"),
		jetfn.WithReady(func(a jetfn.Addresses) { ready <- a }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-ready:
		return "http://" + a.HTTP
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return ""
	}
}

func post(t *testing.T, url, header, value, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(header, value)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func block(t *testing.T, text, begin string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, begin)
	if !ok {
		t.Fatalf("README.md has no block %q", begin)
	}
	inside, _, _ := strings.Cut(after, "```")
	return inside
}
