package main

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/promql"
	"go.yaml.in/yaml/v4"
)

// line is a series that goes up steadily: a name with labels as name=value.
type line struct {
	name      string
	labels    string // separated by spaces
	from      float64
	perMinute float64
}

// half an hour of scrapes.
const scrapes = 120

// synthetic is a recording of lines.
func synthetic(lines []line) *recording {
	r := &recording{from: time.Unix(1_700_000_000, 0), names: map[string]bool{}, series: map[string]*recorded{}, scrapes: scrapes}
	for i := range scrapes {
		r.to = r.from.Add(time.Duration(i) * step)
		for _, l := range lines {
			m, pairs := &dto.Metric{}, strings.Fields(l.labels)
			for _, p := range pairs {
				name, value, _ := strings.Cut(p, "=")
				m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &value})
			}
			r.add(l.name, m, l.from+l.perMinute*(time.Duration(i)*step).Minutes())
		}
	}
	return r
}

type alert struct {
	Alert, Expr, For string
}

func alerts(t *testing.T) map[string]alert {
	t.Helper()
	data, err := os.ReadFile("../../deploy/prometheus/jetfn.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	out := map[string]alert{}
	for _, g := range file.Groups {
		for _, a := range g.Rules {
			out[a.Alert] = a
		}
	}
	return out
}

// fires reports whether the expression holds for one series for as long as the
// alert wants.
func (a alert) fires(t *testing.T, run *recording) bool {
	t.Helper()
	hold := time.Duration(0)
	if a.For != "" {
		var err error
		if hold, err = time.ParseDuration(a.For); err != nil {
			t.Fatal(err)
		}
	}
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
	})
	ask, err := engine.NewRangeQuery(t.Context(), run, nil, a.Expr, run.from, run.to, step)
	if err != nil {
		t.Fatal(err)
	}
	defer ask.Close()
	matrix, err := ask.Exec(t.Context()).Matrix()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(matrix, func(s promql.Series) bool {
		began := 0
		for i, p := range s.Floats {
			if i > 0 && p.T-s.Floats[i-1].T > step.Milliseconds() {
				began = i
			}
			if time.Duration(p.T-s.Floats[began].T)*time.Millisecond >= hold {
				return true
			}
		}
		return false
	})
}

func TestAlertsFireWhenTheyShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	const function, partition = "namespace=shop type=cart", "partition=2"
	calls := func(failures float64) []line {
		return []line{
			{"jetfn_functions_remoteInvocationFailures", function, 0, failures},
			{"jetfn_functions_remoteInvocationLatency_count", function, 0, 600},
		}
	}
	stuck := func(lag, age, perMinute float64) []line {
		return []line{{"jetfn_partition_applyLag", partition, lag, 0}, {"jetfn_partition_checkpointAge", partition, age, perMinute}}
	}
	commits := func(slow float64) []line { // per minute, of 600
		const name = "jetfn_partition_commitLatency_bucket"
		return []line{{name, partition + " le=500", 0, 600 - slow}, {name, partition + " le=1000", 0, 600}, {name, partition + " le=+Inf", 0, 600}}
	}
	pair := func(name, limit, labels string, value, most float64) []line {
		return []line{{name, labels, value, 0}, {limit, labels, most, 0}}
	}
	one := func(name, labels string, from, perMinute float64) []line {
		return []line{{name, labels, from, perMinute}}
	}
	stored := func(value, most float64) []line {
		return pair("jetfn_nats_storedBytes", "jetfn_nats_maxStoredBytes", "", value, most)
	}
	stream := func(value, most float64) []line {
		return pair("jetfn_stream_bytes", "jetfn_stream_maxBytes", "stream=egress", value, most)
	}
	inFlight := func(value float64) []line {
		return pair("jetfn_worker_inflightAsyncOps", "jetfn_worker_maxInflightAsyncOps", "", value, 1024)
	}
	rules := alerts(t)
	tested := map[string]bool{}
	for _, c := range []struct {
		alert  string
		ill    []line
		health []line
	}{
		{"JetfnNotReady", one("jetfn_worker_ready", "", 0, 0), one("jetfn_worker_ready", "", 1, 0)},
		{"JetfnNotReady", nil, one("jetfn_worker_ready", "", 1, 0)}, // nobody is scraped
		{"JetfnPartitionStuck", stuck(13, 0, 60_000), stuck(0, 0, 60_000)},
		{"JetfnPartitionStuck", stuck(13, 61_000, 0), stuck(13, 5_000, 0)},
		{"JetfnDeadLetters", one("jetfn_functions_deadLetters", function, 0, 0.5), one("jetfn_functions_deadLetters", function, 500, 0)},
		{"JetfnFunctionFailing", calls(90), calls(30)},
		{"JetfnBacklogAging", one("jetfn_functions_backlogAge", function, 0, 60_000), one("jetfn_functions_backlogAge", function, 59_000, 0)},
		{"JetfnCallsSaturated", inFlight(1000), inFlight(900)},
		{"JetfnSlowCommits", commits(12), commits(3)},
		{"JetfnIngressLag", one("jetfn_ingress_lag", "source=mailbox", 9_000, 1000), one("jetfn_ingress_lag", "source=mailbox", 90_000, -1000)},
		{"JetfnRecordsMissed", one("jetfn_ingress_recordsMissed", "ingress=shop/orders", 0, 1), one("jetfn_ingress_recordsMissed", "ingress=shop/orders", 7, 0)},
		{"JetfnStreamFull", stream(90, 100), stream(80, 100)},
		{"JetfnStreamFull", stream(90, 100), stream(90, 0)}, // without a limit
		{"JetfnDiskFull", stored(90, 100), stored(80, 100)},
		{"JetfnDiskFull", stored(90, 100), stored(0, 0)}, // another NATS
		{"JetfnStateConflicts", one("jetfn_partition_stateConflicts", partition, 0, 1), one("jetfn_partition_stateConflicts", partition, 3, 0)},
		{"JetfnTakeovers", one("jetfn_worker_recoveries", "", 1, 1), one("jetfn_worker_recoveries", "", 1, 0.1)},
		{"JetfnNATSLost", one("jetfn_nats_connected", "", 0, 0), one("jetfn_nats_connected", "", 1, 0)},
	} {
		a, ok := rules[c.alert]
		if !ok {
			t.Errorf("there is no alert %s", c.alert)
			continue
		}
		tested[c.alert] = true
		if !a.fires(t, synthetic(c.ill)) {
			t.Errorf("%s doesn't fire with %v", c.alert, c.ill)
		}
		if a.fires(t, synthetic(c.health)) {
			t.Errorf("%s fires with %v", c.alert, c.health)
		}
	}
	for name := range rules {
		if !tested[name] {
			t.Errorf("no case for %s", name)
		}
	}
}
