// Package bench measures jetfn on one workload, the keyed counter: a message
// to one of K keys makes a function read the key's count, add one, store it,
// and emit a record to an egress.
//
//	parent: generator ─▶ NATS ─▶ child: worker with embedded server ─▶ child: function
//	        reader    ◀─ NATS ◀─┘
//
// The worker is what jetfn run is, in a process of its own so that its CPU and
// memory can be told apart; so is the function of kind http. The generator
// publishes over TCP like any client, and the reader consumes the egress
// stream on a connection of its own.
//
// A latency runs from the acknowledgement of a publish to the delivery of the
// record that it caused. In the open loop, how late the generator published
// against its schedule is added, so that a stall is not omitted from the
// figures because it kept the generator from sending.
//
// Every record is checked: the counts of a key must be 1, 2, 3 … without gap
// or repetition, and the state of some keys must equal what was sent to them.
package bench
