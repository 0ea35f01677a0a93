// Package faultpoint marks the places where a crash is worth a test. In a
// normal build Hit does nothing. In a build with -tags faultpoints the
// variable JETFN_FAULTPOINT=<name>:<n> kills the process, as kill -9 does,
// when the place called name is reached for the n-th time.
package faultpoint
