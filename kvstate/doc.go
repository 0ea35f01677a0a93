// Package kvstate keeps the state of addresses in the JetStream KV bucket
// "<app>_state", readable by any NATS client: key "<ns>.<type>.<id>", value a
// JSON record (see Encode).
//
// The bucket is a window on the state, not its master: that is the journal.
// Every write expects the revision that its owner believes to be the last, so
// that a superseded owner can't undo newer state. What others write into the
// bucket is recognised by the record's checksum and never merged; a load
// returns the newest record of ours among the eight revisions the bucket
// keeps, which its owner then writes over the foreign one.
//
// AllowDirect is off, so that reads are answered by the stream's leader, unless
// there is but one server, whose direct reads see what was stored last too, and
// are cheaper.
package kvstate
