// Package sdktest tests functions of package sdk without a server.
//
// [Call] calls one function with a message and given state, and shows what it
// asks for. An [App] is a whole application in memory: jetfn's own core with
// all its rules for state, order, delayed messages, expiry, retries and dead
// letters, but with a clock that moves only when the test says so. What
// happens is the same in every run.
package sdktest
