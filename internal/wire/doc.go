// Package wire holds the messages that jetfn exchanges with functions and
// other systems, as .proto files in proto and the Go code generated from them
// in reqreply (the calls), sdktypes (the built-in value types) and egress
// (records for Kafka and Kinesis). The package itself reads and writes the
// built-in values as text.
package wire

//go:generate go run ./gen -proto proto -out .
