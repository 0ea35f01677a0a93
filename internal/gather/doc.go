// Package gather decides which writes to a stream go as single messages and
// which go together, as one atomic batch.
//
// A server that syncs before it acknowledges does so for each message, but
// only once for a batch. A batch costs as much as a dozen messages, though,
// and the answer to all of it comes at its end. So few writes go singly and at
// once, and what piles up behind them goes as a batch.
//
// The package has no goroutine, clock or I/O of its own, so that the simulator
// runs it as it is.
package gather
