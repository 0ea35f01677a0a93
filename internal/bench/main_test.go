package bench_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/internal/bench"
)

// TestMain is also the children: a run starts this program again.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		var err error
		switch os.Args[1] {
		case bench.WorkerCommand:
			err = bench.RunWorker(context.Background(), os.Args[2], os.Stdin, os.Stdout, zerolog.Nop())
			end(err)
		case bench.FunctionCommand:
			err = bench.RunFunction(context.Background(), os.Args[2], os.Stdin, os.Stdout)
			end(err)
		}
	}
	goleak.VerifyTestMain(m)
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
