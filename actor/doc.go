// Package actor is the core: it turns messages for addresses into calls of
// functions, and the effects of those calls into commits.
package actor
