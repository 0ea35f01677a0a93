// Package cron is the built-in function jetfn/cron: an address for each cron
// ingress, which sends to the ingress' targets at each tick and sets a delayed
// message to itself for the next one. State, sends and the delayed message
// are one commit, so that each tick counts exactly once, whoever owns the
// partition and whatever crashes.
package cron
