// Package mutant marks the places where a deliberate break of the commit
// protocol can be switched on, to prove that the simulation finds it. In a
// normal build On is constantly false and costs nothing. In a build with
// -tags mutants the variable JETFN_MUTANT names the one break that is on.
package mutant
