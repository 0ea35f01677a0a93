// Promtest evaluates every query of the dashboards, alerts and KEDA manifests
// in deploy/ with Prometheus' own engine, over a run that was recorded: scrapes
// of /metrics, one a file, in order of their names, taken as 15 seconds apart.
//
//	go run . -run DIR
//
// A query fails that can't be parsed, names a metric that no scrape has, or
// gives no sample although nothing in it compares. Its tests evaluate each
// alert over series that it is to fire on, and over others. It is a module of
// its own, so that jetfn doesn't depend on Prometheus.
package main
