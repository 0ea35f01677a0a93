// Package gateway is everything of jetfn that speaks HTTP.
//
// An Endpoint calls functions that live behind a URL: it encodes a batch for
// the endpoint's protocol, learns from the function which states it declares,
// and says of every failure whether the function may have run. NewAPI serves
// the application's own HTTP surface, NewPlaygroundIngress and
// NewPlaygroundEgress the two playground ports.
//
//	actor.Batch ──codec──▶ POST ──▶ function ──▶ reply ──codec──▶ actor.Effects
//	                        ▲                      │
//	                        └── missing states ◀───┘
//
// The package stores nothing and knows no broker: what it needs of the rest
// is declared in ports.go.
package gateway
