// Package wire holds the messages that jetfn exchanges with functions and
// other systems, as .proto files in proto and the Go code generated from them:
// reqreply (the calls of protocol 3.x), polyglot (those of protocol 2.x),
// sdktypes (the built-in value types), egress and egress2 (records for Kafka
// and Kinesis, of 3.x and 2.x). The package itself reads and writes the
// built-in values as text.
package wire

//go:generate go run ./gen -proto proto -out .
