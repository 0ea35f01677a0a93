package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestAllBiddersAreToldOfEachBid(t *testing.T) {
	t.Parallel()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	app := sdktest.New(t, functions)
	for _, b := range []Bid{{"ann", 10}, {"bob", 12}, {"cid", 11}, {"ann", 15}} {
		app.Send("auction/lot", "1", bidType().Of(b))
	}
	app.Advance(open)
	app.Send("auction/lot", "1", bidType().Of(Bid{"bob", 99}))
	got := map[string][]string{}
	for _, r := range app.Egress("auction/inbox") {
		for _, text := range []string{"ann bids 10", "bob bids 12", "ann bids 15", "sold to ann for 15"} {
			if strings.Contains(string(r.Value.Data), text) {
				got[r.From.ID] = append(got[r.From.ID], text)
			}
		}
	}
	want := map[string][]string{
		"ann": {"ann bids 10", "bob bids 12", "ann bids 15", "sold to ann for 15"},
		"bob": {"bob bids 12", "ann bids 15", "sold to ann for 15"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
	if n := len(app.Egress("auction/inbox")); n != 7 {
		t.Errorf("%d news, want 7", n)
	}
}
