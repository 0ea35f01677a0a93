package jetfn_test

import (
	"testing"

	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }
