// Package broker is JetStream: the embedded server, the connection, the
// streams and buckets of an application, and the adapters that give the
// partitions of package actor their ports.
//
// What it promises is what actor/ports.go says of each port. State in KV is
// package kvstate's. Only subjects.go spells subjects and stream names.
//
//	StartServer ─▶ Server ─ Connect ─▶ nats.Conn ◀─ Connect (an external server)
//	                                       │
//	                                      Open ─▶ App ─ Ports(p) ─▶ Journal, Outbox, Sinks, Timers, Inbox
//	                                               ├─ Feed ─▶ deliveries of the mailbox or the ingress stream
//	                                               ├─ Send, PopEgress, TailEgress: the outside's view
//	                                               └─ Lease: which process should own the partitions
package broker
