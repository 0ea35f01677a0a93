package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"
)

func TestAListHasAsManyAsWereAskedFor(t *testing.T) {
	t.Parallel()
	// Of 2,500 numbers a page has as many as asked for, 700 at most.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.FormValue("limit"))
		if err != nil || limit < 1 || limit > mostListed || r.FormValue("kind") != "odd" {
			t.Errorf("asked for %s", r.URL)
		}
		after, _ := strconv.Atoi(r.FormValue("after")) // 0: from the start
		var page struct {
			Items []int  `json:"items"`
			Next  string `json:"next,omitempty"`
		}
		for n := after + 1; n <= 2500 && len(page.Items) < min(limit, 700); n++ {
			page.Items = append(page.Items, n)
			page.Next = strconv.Itoa(n)
		}
		if page.Next == "2500" {
			page.Next = ""
		}
		if err := json.NewEncoder(w).Encode(page); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	flags := serverFlags{Server: server.URL, Timeout: time.Minute}
	for _, c := range []struct {
		after       string
		limit, want int
	}{{"", 0, 2500}, {"", 1, 1}, {"", 700, 700}, {"", 1000, 1000}, {"", 1500, 1500}, {"", 2500, 2500}, {"", 3000, 2500}, {"2000", 0, 500}, {"2000", 100, 100}} {
		got, err := list[int](t.Context(), &flags, "/numbers", url.Values{"kind": {"odd"}}, c.after, c.limit)
		if err != nil || len(got) != c.want {
			t.Errorf("%d of a list are %d, %v, want %d", c.limit, len(got), err, c.want)
			continue
		}
		first, _ := strconv.Atoi(c.after)
		for i, n := range got {
			if n != first+i+1 {
				t.Fatalf("number %d of %d behind %q is %d", i, c.limit, c.after, n)
			}
		}
	}
}
