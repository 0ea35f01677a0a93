// Package actortest holds what every implementation of the ports in package
// actor must pass, and an in-memory implementation that does.
//
// A suite takes a factory, which it calls once for each of its tests:
//
//	func TestJournal(t *testing.T) {
//		actortest.TestJournal(t, func(t *testing.T) actor.Journal { return openJournal(t) })
//	}
package actortest
