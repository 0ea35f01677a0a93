//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// outlet is everything that came out at the egress, as it comes.
type outlet struct {
	mu    sync.Mutex
	came  map[string][]emission // by "<namespace>.<name>[.<key>]"
	taken map[string]int
}

type emission struct {
	payload []byte
	header  nats.Header
}

// watch reads the egress stream until the test ends.
func watch(t *testing.T, js jetstream.JetStream) *outlet {
	t.Helper()
	o := &outlet{came: map[string][]emission{}, taken: map[string]int{}}
	consumer, err := js.OrderedConsumer(t.Context(), "T_EGRESS", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"t.egress.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := consumer.Consume(o.add)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		consuming.Stop()
		<-consuming.Closed()
	})
	return o
}

func (o *outlet) add(m jetstream.Msg) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := strings.TrimPrefix(m.Subject(), "t.egress.")
	o.came[key] = append(o.came[key], emission{payload: m.Data(), header: m.Headers()})
}

// take waits for the next n records under key.
func (o *outlet) take(t *testing.T, key string, n int) []emission {
	t.Helper()
	return o.takeWithin(t, suiteLimit, key, n)
}

func (o *outlet) takeWithin(t *testing.T, limit time.Duration, key string, n int) (records []emission) {
	t.Helper()
	eventually(t, limit, fmt.Sprintf("%d records at %s", n, key), func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		came := o.came[key][o.taken[key]:]
		if len(came) < n {
			return fmt.Errorf("%d came", len(came))
		}
		records = came[:n]
		o.taken[key] += n
		return nil
	})
	return records
}

// rest is what came under key and wasn't taken.
func (o *outlet) rest(key string) []emission {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.came[key][o.taken[key]:]
}
