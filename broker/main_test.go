package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/jetfn/jetfn/broker/brokertest"
)

// patience is how long a test waits for what comes at once on a machine that
// has nothing else to do.
const patience = time.Minute

func TestMain(m *testing.M) { brokertest.Main(m) }

// patiently is a context that ends after patience. Without an end of its own,
// a request to the server is given up after five seconds.
func patiently(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
