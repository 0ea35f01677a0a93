// Package inprocess runs the functions of an sdk.Registry as functions of the
// core, in the worker's own process: no bytes are written or read on the way.
package inprocess
