package bench_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/internal/bench"
)

func config() bench.Config {
	return bench.Config{
		Function: bench.FunctionEmbedded, Keys: 10, InFlight: 16, Payload: 150, Sync: "interval", Workers: 1, Partitions: 4,
		Duration: time.Second, LimitDuration: 300 * time.Millisecond, // within which a busy machine does something, too
		Program: bench.Program{Path: os.Args[0]},
	}
}

func TestARunMeasuresAndVerifies(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bench.Config){
		"embedded, closed loop": func(*bench.Config) {},
		"http, closed loop":     func(c *bench.Config) { c.Function = bench.FunctionHTTP },
		"nats, closed loop":     func(c *bench.Config) { c.Function = bench.FunctionNATS },
		"embedded, open loop":   func(c *bench.Config) { c.Rate = 200 },
		"always":                func(c *bench.Config) { c.Sync = "always" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			change(&cfg)
			r, err := bench.Run(t.Context(), cfg)
			if err != nil {
				t.Fatalf("Run(%+v) = %v", cfg, err)
			}
			if !r.Verified || r.Invocations == 0 || r.PerSecond <= 0 || r.TotalLatency.P50 <= 0 || r.TotalLatency.P50 > r.TotalLatency.Max {
				t.Errorf("Run = %+v, want something measured and verified", r)
			}
			if r.Limit == nil || r.Limit.PerSecond <= 0 || r.Ratio != r.PerSecond/r.Limit.PerSecond {
				t.Errorf("Run: limit %+v, ratio %v", r.Limit, r.Ratio)
			}
			wantLimit := "publish"
			if cfg.Function != bench.FunctionEmbedded {
				wantLimit = cfg.Function + "-"
			}
			if !strings.HasPrefix(r.Limit.Name, wantLimit) {
				t.Errorf("Run divides by the limit %s, want %s", r.Limit.Name, wantLimit)
			}
			if r.MessagesPerInv <= 1 || r.MessagesPerInv > 50 {
				t.Errorf("Run: %v messages stored per invocation, want the output and a share of a pack of inputs", r.MessagesPerInv)
			}
		})
	}
}

func TestAnOpenLoopKeepsItsRate(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Rate, cfg.Duration, cfg.NoLimits = 100, 2*time.Second, true
	r, err := bench.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Invocations < 50 || r.Invocations > 250 { // 200, unless a busy machine is late
		t.Errorf("%d invocations within two seconds at 100/s", r.Invocations)
	}
}

func TestARunIsRefused(t *testing.T) {
	t.Parallel()
	used := t.TempDir()
	file := filepath.Join(used, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*bench.Config){
		"data that holds something": func(c *bench.Config) { c.Data = used },
		"data that is a file":       func(c *bench.Config) { c.Data = file },

		"function": func(c *bench.Config) { c.Function = "lambda" },
		"sync":     func(c *bench.Config) { c.Sync = "never" },
		"workers":  func(c *bench.Config) { c.Workers = 2 },
		"keys":     func(c *bench.Config) { c.Keys = 0 },
		"load":     func(c *bench.Config) { c.InFlight = 0 },
		"payload":  func(c *bench.Config) { c.Payload = 3 },
		"duration": func(c *bench.Config) { c.Duration = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			change(&cfg)
			if _, err := bench.Run(t.Context(), cfg); !errors.Is(err, bench.ErrUsage) {
				t.Errorf("Run = %v, want ErrUsage", err)
			}
		})
	}
}

func TestARecordKeepsKeyCountAndIndex(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key, count := rapid.IntRange(0, 10_000_000).Draw(t, "key"), rapid.Uint64Range(1, 1<<50).Draw(t, "count")
		index := rapid.Uint64Range(0, 1<<50).Draw(t, "index")
		data := bench.NewRecord(key, count, bench.Message(bench.MinPayload, index))
		k, c, i, err := bench.ParseRecord(data)
		if k != key || c != count || i != index || err != nil {
			t.Errorf("ParseRecord(%q) = %d, %d, %d, %v", data, k, c, i, err)
		}
		if len(data) < 100 {
			t.Errorf("a record has %d bytes, want 100 at least", len(data))
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("k1 2 0000000000000003 ..."))
	f.Add([]byte("k 2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, _, _, err := bench.ParseRecord(data); err == nil && key < 0 {
			t.Errorf("ParseRecord(%q): key %d", data, key)
		}
	})
}

func TestALatencyBeginsWithTheAcknowledgement(t *testing.T) {
	t.Parallel()
	l := bench.NewLedger()
	i := l.Send(10, 10)
	l.Ack(i, 30)
	l.Deliver(i, 35)
	wantAbout(t, l, 5, 20, 25)
}

func TestARecordBeforeItsAcknowledgementTookNoTime(t *testing.T) {
	t.Parallel()
	l := bench.NewLedger()
	i := l.Send(10, 10)
	l.Deliver(i, 15)
	l.Ack(i, 20)
	wantAbout(t, l, 0, 10, 5)
}

func TestALatePublishCounts(t *testing.T) {
	t.Parallel()
	l := bench.NewLedger()
	i := l.Send(10, 110)
	l.Ack(i, 112)
	l.Deliver(i, 115)
	wantAbout(t, l, 103, 102, 105)
}

// wantAbout compares medians in milliseconds.
func wantAbout(t *testing.T, l *bench.Ledger, latency, publish, total float64) {
	t.Helper()
	a, b, c := l.Latencies()
	for _, x := range []struct {
		name      string
		got, want float64
	}{{"latency", a.P50, latency}, {"publish", b.P50, publish}, {"total", c.P50, total}} {
		if x.got < 0.99*x.want || x.got > 1.01*x.want {
			t.Errorf("%s = %v ms, want %v", x.name, x.got, x.want)
		}
	}
}

func TestWhatIsRefusedDoesNotCount(t *testing.T) {
	t.Parallel()
	l := bench.NewLedger()
	for i := range 3 {
		l.Send(i+1, i+1)
	}
	l.Refuse(1, 5)
	l.Ack(0, 5)
	l.Deliver(0, 7)
	if sent, err := l.Sent(), l.Problem(); sent != 2 || err != nil {
		t.Errorf("%d messages count, and %v is wrong, want 2 and nothing", sent, err)
	}
	if latency, _, _ := l.Latencies(); latency.Max < 1.9 || latency.Max > 2.1 {
		t.Errorf("the latency is %+v, want that of the message with a record", latency)
	}
	l.Deliver(1, 8)
	if l.Problem() == nil {
		t.Error("a refused message has a record, and nothing is wrong")
	}
}

func TestTheLedgerNoticesWhatComesTwice(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*bench.Ledger, uint64){
		"acknowledgement": func(l *bench.Ledger, i uint64) { l.Ack(i, 5); l.Ack(i, 6) },
		"record":          func(l *bench.Ledger, i uint64) { l.Deliver(i, 5); l.Deliver(i, 6) },
		"refusal":         func(l *bench.Ledger, i uint64) { l.Refuse(i, 5); l.Refuse(i, 6) },
		"foreign record":  func(l *bench.Ledger, _ uint64) { l.Deliver(99, 5) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := bench.NewLedger()
			do(l, l.Send(1, 1))
			if l.Problem() == nil {
				t.Error("nothing noticed")
			}
		})
	}
}

func TestTheLedgerForgetsWhatIsComplete(t *testing.T) {
	t.Parallel()
	l := bench.NewLedger()
	for range 100_000 {
		i := l.Send(1, 1)
		l.Ack(i, 2)
		l.Deliver(i, 3)
	}
	if n := l.Chunks(); n > 1 {
		t.Errorf("%d chunks in memory, want one at most", n)
	}
}

// states serves counts as the state of the keys.
func states(t *testing.T, counts ...uint64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var key int
		if _, err := fmt.Sscanf(r.URL.Path, "/v1/state/bench/counter/k%d", &key); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		value := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, counts[key])
		_, _ = fmt.Fprintf(w, `{"values":{"count":{"value":%q}}}`, base64.StdEncoding.EncodeToString(value)) // the reader notices
	}))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return s.URL
}

func TestVerificationFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	sent := []uint64{3, 2}
	for name, c := range map[string]struct {
		counts [][]uint64
		states []uint64
		right  bool
	}{
		"all right":       {[][]uint64{{1, 2, 3}, {1, 2}}, []uint64{3, 2}, true},
		"record missing":  {[][]uint64{{1, 2, 3}, {1}}, []uint64{3, 2}, false},
		"count twice":     {[][]uint64{{1, 2, 2}, {1, 2}}, []uint64{3, 2}, false},
		"gap":             {[][]uint64{{1, 2, 4}, {1, 2}}, []uint64{3, 2}, false},
		"wrong order":     {[][]uint64{{1, 3, 2}, {1, 2}}, []uint64{3, 2}, false},
		"one too many":    {[][]uint64{{1, 2, 3}, {1, 2, 3}}, []uint64{3, 2}, false},
		"state is behind": {[][]uint64{{1, 2, 3}, {1, 2}}, []uint64{2, 2}, false},
		"state is ahead":  {[][]uint64{{1, 2, 3}, {1, 2}}, []uint64{3, 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := bench.Verify(t.Context(), states(t, c.states...), sent, c.counts)
			if c.right && err != nil || !c.right && !errors.Is(err, bench.ErrMismatch) {
				t.Errorf("Verify = %v", err)
			}
		})
	}
}

func TestGrowthIsNoticed(t *testing.T) {
	t.Parallel()
	flat := bench.Sample{RSS: 100 << 20, Journal: 1 << 20, Disk: 500 << 20, Mailbox: 100 << 20, Egress: 100 << 20}
	grown := func(f func(*bench.Sample)) bench.Sample {
		s := flat
		f(&s)
		return s
	}
	for name, c := range map[string]struct {
		late    bench.Sample
		backlog uint64
		drain   float64
		least   float64
		bounded bool
	}{
		"flat":            {flat, 0, 0, 0, true},
		"memory":          {grown(func(s *bench.Sample) { s.RSS = 400 << 20 }), 0, 0, 0, false},
		"journal":         {grown(func(s *bench.Sample) { s.Journal = 400 << 20 }), 0, 0, 0, false},
		"disk":            {grown(func(s *bench.Sample) { s.Disk = 1000 << 20 }), 0, 0, 0, false},
		"mailbox and all": {grown(func(s *bench.Sample) { s.Disk, s.Mailbox = 1000<<20, 600<<20 }), 10_000, 1000, 0, true},
		"emptied files":   {grown(func(s *bench.Sample) { s.Disk, s.Mailbox = 500<<20, 0 }), 0, 0, 0, true},
		"slow drain":      {flat, 10_000, 500, 0, false},
		"slow for least":  {flat, 10_000, 1500, 2000, false},
		"fast enough":     {flat, 10_000, 2000, 2000, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &bench.Result{PerSecond: 1000, Backlog: c.backlog, DrainPerSecond: c.drain, Samples: []bench.Sample{flat, flat, c.late, c.late}}
			if err := r.Bounded(c.least); (err == nil) != c.bounded || err != nil && !errors.Is(err, bench.ErrUnbounded) {
				t.Errorf("Bounded = %v, want bounded: %t", err, c.bounded)
			}
		})
	}
}
