// Package runtime is a worker: it puts a module, the broker, the partitions
// and the HTTP surface together, and owns their order of life.
//
//	lock data dir ─▶ listen ─▶ NATS ─▶ streams ─▶ lease ─┬▶ generation ─▶ drain ─▶ release
//	                                                ▲    │
//	                                                └────┘ fenced, or lease lost
//
// A generation is one ownership of the partitions: their processors, the feeds
// of their inputs and the playground's ports. When a partition is fenced or a
// feed breaks, the whole generation ends and a new one begins from what is
// durable. The HTTP surface outlives generations; between them it is not
// ready.
//
// It is the only package that knows broker, kvstate and gateway alike.
package runtime
