// Package protoroute finds the address that a protobuf message is for.
//
// A Route is a template of an address, such as
//
//	example/person/{{$.user.id}}
//
// whose expressions are paths into messages of one type. The type comes from
// a compiled FileDescriptorSet, so that no generated code is needed.
package protoroute
