// Package e2e runs the built jetfn binary as its users do: as a process with
// a data directory, called over HTTP and NATS, with functions of the real
// StateFun SDKs and with functions that misbehave. The tests are behind the
// build tag e2e; `make e2e` installs what they need and runs them.
package e2e
