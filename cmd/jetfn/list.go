package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// mostListed is how many things the server lists at once.
const mostListed = 1000

// list reads what query selects at path, page by page, from behind the cursor
// after: limit of them, or all if that is zero.
func list[T any](ctx context.Context, s *serverFlags, path string, query url.Values, after string, limit int) ([]T, error) {
	all := []T{} // an empty list is [] in JSON
	for {
		query.Set("limit", strconv.Itoa(mostListed))
		if limit > 0 {
			query.Set("limit", strconv.Itoa(min(limit-len(all), mostListed)))
		}
		if after != "" {
			query.Set("after", after)
		}
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := s.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
		after = page.Next
	}
}
