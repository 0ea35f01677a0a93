package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// httpLoop calls a function as often as it can with Go's net/http: one
// message a call, with the bytes that the worker would send.
type httpLoop struct {
	url      string
	calls    int // in flight
	size     int // of the message
	duration time.Duration
}

// run returns how many calls were answered in what time.
func (h *httpLoop) run(ctx context.Context) (uint64, time.Duration, error) {
	body, err := sampleCall(h.size)
	if err != nil {
		return 0, 0, err
	}
	transport := &http.Transport{MaxIdleConns: h.calls, MaxIdleConnsPerHost: h.calls, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var answered atomic.Uint64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range h.calls {
		group.Go(func() error {
			for time.Since(began) < h.duration {
				if err := h.call(ctx, client, body); err != nil {
					return err
				}
				answered.Add(1)
			}
			return nil
		})
	}
	err = group.Wait()
	return answered.Load(), time.Since(began), err
}

func (h *httpLoop) call(ctx context.Context, client *http.Client, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", contentType)
	request.Header.Set("User-Agent", "jetfn")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && (response.StatusCode != http.StatusOK || n == 0) {
		err = fmt.Errorf("the function answered %s with %d bytes", response.Status, n)
	}
	return err
}
