// Package telemetry is what a worker tells of itself: metrics and traces, on
// /metrics and to a collector.
//
// [Metrics] has all metrics, of which [Table] is the list: nothing else gives
// them names, units and descriptions, and docs/metrics.md is made of it.
// Counters and gauges are OpenTelemetry's; histograms are [Histogram], which
// costs two atomic additions, since several are recorded per message.
//
// [Tracer] makes spans of what an actor.Observer is told. A span's context
// travels in the envelopes, so that a trace goes on at whatever worker the next
// message is processed, also after a restart. What isn't sampled carries no
// context that wasn't there before, and costs a comparison. For users it is
// described in docs/tracing.md.
package telemetry
