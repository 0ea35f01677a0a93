package broker_test

import (
	"testing"
	"time"

	"github.com/jetfn/jetfn/broker/brokertest"
)

// patience is how long a test waits for what comes at once on a machine that
// has nothing else to do.
const patience = time.Minute

func TestMain(m *testing.M) { brokertest.Main(m) }
