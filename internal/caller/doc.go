// Package caller makes calls with an answer out of messages.
//
// A call is a message whose caller is an address of the type jetfn/caller;
// what its function sends there is the answer. There are two kinds:
//
//   - A caller that waits, "w-<gateway>-<name>", is a request in progress at
//     one worker's Desk. It has no state and no mailbox: the answer is a reply
//     of the commit that sends it (PROTOCOL G1), and goes to the Desk. If
//     nobody waits any more, it is dropped.
//   - A caller that is kept, "k-…" for an idempotency key of a call, "s-…" of a
//     send, "a-…" for a call that is asked for later, is an address with state:
//     the Function of this package. It sends the message on, once; remembers
//     the answer for a day; and answers those who wait, each of which is a
//     caller of the first kind. So the answer is the same on every worker, and
//     after a crash (PROTOCOL G2).
//
// Client is the side of the gateway.
package caller
