// Package jspub is what the JetStream adapters share: a publisher that tells
// stored, surely not stored, and unknown apart, and the creation of streams.
package jspub
