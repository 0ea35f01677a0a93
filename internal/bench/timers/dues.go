package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// dues are the times at which the worker has timers due. They lie behind those
// that the functions had in mind by the time that calls took to be answered,
// since a delay counts from then.
type dues struct {
	mu sync.Mutex
	at map[string]time.Time // by the target's id
}

func (d *dues) of(id string) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := d.at[id]
	return at, ok
}

// read asks the worker for those before a time.
func (d *dues) read(ctx context.Context, b *bench, before time.Time) error {
	const bell = "bench/bell"
	query := url.Values{"function": {bell}, "before": {before.UTC().Format(time.RFC3339Nano)}, "limit": {"1000"}}
	at := map[string]time.Time{}
	for {
		status, body, err := b.get(ctx, "/v1/timers?"+query.Encode())
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("list timers: %d %s", status, body)
		}
		var page struct {
			Items []struct {
				Address string    `json:"address"`
				DueAt   time.Time `json:"dueAt"`
			} `json:"items"`
			Next string `json:"next"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			at[strings.TrimPrefix(item.Address, bell+"/")] = item.DueAt
		}
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	if len(at) == 0 {
		return errors.New("the worker lists no timers")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
	return nil
}
