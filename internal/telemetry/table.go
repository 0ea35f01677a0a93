package telemetry

import (
	"fmt"
	"strings"
)

// Kind is what a metric is.
type Kind string

// The kinds. A counter falls only when the process starts anew.
const (
	KindCounter   Kind = "counter"
	KindGauge     Kind = "gauge"
	KindHistogram Kind = "histogram"
)

// Metric is a line of the Table.
type Metric struct {
	Name    string
	Kind    Kind
	Unit    string   // as UCUM has it
	Labels  []string // all of them from bounded sets
	Meaning string
	// StateFun is the metric's last part there, and Old the one that StateFun
	// 2.0 and 2.1 had; empty if there is none.
	StateFun, Old string
}

const (
	ms       = "ms"
	bytes    = "By"
	messages = "{message}"
	calls    = "{call}"
	one      = "1"
)

// Table lists all metrics.
func Table() []Metric {
	var all []Metric
	for _, group := range []struct {
		prefix string
		labels []string
		list   []Metric
	}{
		{"jetfn_functions_", []string{"namespace", "type"}, functionMetrics()},
		{"jetfn_worker_", nil, workerMetrics()},
		{"jetfn_partition_", []string{"partition"}, partitionMetrics()},
		{"jetfn_endpoint_", []string{"endpoint"}, []Metric{
			{Name: "connectionsOpened", Kind: KindCounter, Unit: "{connection}", Meaning: "Connections made to functions."},
			{Name: "connectionsReused", Kind: KindCounter, Unit: calls, Meaning: "Calls that found an idle connection."},
			{Name: "circuit", Kind: KindGauge, Unit: "1", Meaning: "State of the circuit breaker: 0 closed, 1 half-open, 2 open. The endpoint is the URL that is called, in these four metrics."},
			{Name: "calls", Kind: KindGauge, Unit: calls, Meaning: "Calls in flight to the endpoint."},
			{Name: "callsWaiting", Kind: KindGauge, Unit: "{address}", Meaning: "Addresses that wait for a place among the calls to the endpoint."},
			{Name: "callsLimit", Kind: KindGauge, Unit: calls, Meaning: "Calls at once to the endpoint that are allowed now: what does its rate good, within the module's limit."},
		}},
		{"jetfn_ingress_", []string{"source"}, []Metric{
			{Name: "in", Kind: KindCounter, Unit: messages, Meaning: "Stored messages read from a source: mailbox, ingress, or an existing stream. One stored message may hold several."},
			{Name: "lag", Kind: KindGauge, Unit: messages, Meaning: "Stored messages that are not read yet."},
		}},
		{"jetfn_ingress_", []string{"ingress"}, []Metric{
			{Name: "recordsMissed", Kind: KindCounter, Unit: messages, Meaning: "Records of an existing stream that were removed before they were read."},
		}},
		{"jetfn_egress_", []string{"egress"}, []Metric{
			{Name: "out", Kind: KindCounter, Unit: messages, Meaning: "Messages stored in the egress stream, by egress."},
		}},
		{"jetfn_stream_", []string{"stream"}, []Metric{
			{Name: "messages", Kind: KindGauge, Unit: messages, Meaning: "Stored messages that a stream holds: mailbox, ingress, egress, journal or dlq."},
			{Name: "bytes", Kind: KindGauge, Unit: bytes, Meaning: "Bytes that a stream holds."},
			{Name: "maxBytes", Kind: KindGauge, Unit: bytes, Meaning: "Bytes at which a stream refuses new messages; 0: it has no limit of its own."},
		}},
		{"jetfn_nats_", nil, []Metric{
			{Name: "roundTrip", Kind: KindGauge, Unit: ms, Meaning: "How long the NATS server took for a ping, measured when metrics are read."},
			{Name: "connected", Kind: KindGauge, Unit: one, Meaning: "1 while the worker is connected to NATS."},
			{Name: "reconnects", Kind: KindCounter, Unit: "{connection}", Meaning: "Connections to NATS made again."},
			{Name: "storedBytes", Kind: KindGauge, Unit: bytes, Meaning: "Bytes that all streams and buckets of the embedded server take; 0 with another NATS."},
			{Name: "maxStoredBytes", Kind: KindGauge, Unit: bytes, Meaning: "Bytes at which the embedded server refuses all writes; 0 with another NATS."},
		}},
	} {
		for _, m := range group.list {
			m.Name = group.prefix + m.Name
			m.Labels = group.labels
			all = append(all, m)
		}
	}
	return all
}

func functionMetrics() []Metric {
	return []Metric{
		{Name: "in", Kind: KindCounter, Unit: messages, Meaning: "Messages accepted, once each.", StateFun: "in", Old: "in"},
		{Name: "outLocal", Kind: KindCounter, Unit: messages, Meaning: "Messages sent to the same partition.", StateFun: "outLocal", Old: "out-local"},
		{Name: "outRemote", Kind: KindCounter, Unit: messages, Meaning: "Messages sent to other partitions.", StateFun: "outRemote", Old: "out-remote"},
		{Name: "outEgress", Kind: KindCounter, Unit: messages, Meaning: "Messages sent to egresses.", StateFun: "outEgress", Old: "out-egress"},
		{Name: "inflightAsyncOps", Kind: KindGauge, Unit: calls, Meaning: "Calls in flight.", StateFun: "inflightAsyncOps"},
		{Name: "numBacklog", Kind: KindGauge, Unit: messages, Meaning: "Messages accepted that wait for a call, or for its repetition.", StateFun: "numBacklog"},
		{Name: "numBlockedAddress", Kind: KindGauge, Unit: "{address}", Meaning: "Addresses for which as many messages wait as one call takes, or more.", StateFun: "numBlockedAddress"},
		{Name: "numRetryingAddress", Kind: KindGauge, Unit: "{address}", Meaning: "Addresses whose call has failed and waits to be repeated."},
		{Name: "backlogAge", Kind: KindGauge, Unit: ms, Meaning: "How long the oldest message of the backlog has been stored; 0 without a backlog."},
		{Name: "remoteInvocationFailures", Kind: KindCounter, Unit: calls, Meaning: "Calls that failed, each attempt counted.", StateFun: "remoteInvocationFailures"},
		{Name: "remoteInvocationLatency", Kind: KindHistogram, Unit: ms, Meaning: "How long a call took, each attempt counted.", StateFun: "remoteInvocationLatency"},
		{Name: "endToEndLatency", Kind: KindHistogram, Unit: ms, Meaning: "How long a message took from when it was stored until what it did was durable, once each."},
		{Name: "batchSize", Kind: KindHistogram, Unit: messages, Meaning: "Messages of a call, each attempt counted."},
		{Name: "stateSize", Kind: KindHistogram, Unit: bytes, Meaning: "State that a call gets, each attempt counted."},
		{Name: "retries", Kind: KindCounter, Unit: calls, Meaning: "Calls repeated after a failure."},
		{Name: "deadLetters", Kind: KindCounter, Unit: messages, Meaning: "Messages given up."},
	}
}

func workerMetrics() []Metric {
	return []Metric{
		{Name: "inflightAsyncOps", Kind: KindGauge, Unit: calls, Meaning: "Calls in flight of the worker.", StateFun: "functions.inflightAsyncOps"},
		{Name: "maxInflightAsyncOps", Kind: KindGauge, Unit: calls, Meaning: "Calls that may be in flight (--max-per-task)."},
		{Name: "waitingCallers", Kind: KindGauge, Unit: "{client}", Meaning: "Clients that wait for the answer to a call."},
		{Name: "ready", Kind: KindGauge, Unit: one, Meaning: "1 while /readyz says so."},
		{Name: "recoveries", Kind: KindCounter, Unit: one, Meaning: "Times that the worker has opened its partitions."},
		{Name: "recoveryTime", Kind: KindGauge, Unit: ms, Meaning: "How long it took the last time until they were ready."},
	}
}

func partitionMetrics() []Metric {
	return []Metric{
		{Name: "epoch", Kind: KindGauge, Unit: one, Meaning: "Its newest opening: seconds since 2026 began, and greater each time."},
		{Name: "commits", Kind: KindCounter, Unit: "{commit}", Meaning: "Commits appended to the journal."},
		{Name: "commitSize", Kind: KindHistogram, Unit: bytes, Meaning: "Bytes of a record appended to the journal."},
		{Name: "commitLatency", Kind: KindHistogram, Unit: ms, Meaning: "How long until a record appended to the journal was durable."},
		{Name: "accepted", Kind: KindCounter, Unit: messages, Meaning: "Messages accepted."},
		{Name: "invocations", Kind: KindCounter, Unit: calls, Meaning: "Calls of functions that have ended."},
		{Name: "messages", Kind: KindCounter, Unit: messages, Meaning: "Messages consumed by calls."},
		{Name: "retries", Kind: KindCounter, Unit: calls, Meaning: "Calls repeated after a failure."},
		{Name: "deadLetters", Kind: KindCounter, Unit: messages, Meaning: "Messages given up."},
		{Name: "stateConflicts", Kind: KindCounter, Unit: one, Meaning: "Foreign writes found in the state bucket."},
		{Name: "drops", Kind: KindCounter, Unit: messages, Meaning: "Repeated or early sends dropped."},
		{Name: "applyLag", Kind: KindGauge, Unit: "{commit}", Meaning: "Commits whose effects are not all in place."},
		{Name: "checkpointAge", Kind: KindGauge, Unit: ms, Meaning: "How long ago the last checkpoint was written; 0: none was, by this owner."},
		{Name: "timersPending", Kind: KindGauge, Unit: messages, Meaning: "Delayed messages that have not fired."},
		{Name: "egressPending", Kind: KindGauge, Unit: messages, Meaning: "Egress messages and dead letters of durable commits that are not stored yet."},
		{Name: "residentMessages", Kind: KindGauge, Unit: messages, Meaning: "Messages held in memory."},
		{Name: "spilledMessages", Kind: KindGauge, Unit: messages, Meaning: "Messages that wait in the stream only."},
		{Name: "cachedAddresses", Kind: KindGauge, Unit: "{address}", Meaning: "Addresses whose state is in memory."},
	}
}

// Page is the table as docs/metrics.md has it.
func Page() string {
	var b strings.Builder
	b.WriteString("| metric | type | unit | labels | meaning | StateFun | 2.0, 2.1 |\n|---|---|---|---|---|---|---|\n")
	cell := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	for _, m := range Table() {
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = cell(l)
		}
		_, _ = fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s |\n",
			m.Name, m.Kind, strings.Trim(m.Unit, "{}"), strings.Join(labels, ", "), m.Meaning, cell(m.StateFun), cell(m.Old))
	}
	return b.String()
}
