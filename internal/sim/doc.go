// Package sim runs the production state machine of partitions, package
// actor's Partition, in a simulated world: virtual time, one thread, one seed.
// Packets of every port are delayed, lost, repeated and reordered over the
// fakes of package actortest; owners crash, are superseded, and go on as
// former owners. Beside the code under test a ghost folds every journal record
// that was ever stored, and checks each write against that fold.
//
//	Plan (from a seed)  ->  World: owners, network, functions, clock
//	                          |  stores
//	                        ghost per partition: what must hold
//
// A failing seed replays exactly; Shrink drops faults and messages that it
// doesn't need, and its history is a timeline for people.
package sim
