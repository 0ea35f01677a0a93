// Package module reads module files: YAML documents that say which functions
// an application has and where they are, and how messages come in and go out.
//
// The format is StateFun's, one component a document:
//
//	kind: io.statefun.endpoints.v2/http
//	spec:
//	  functions: example/*
//	  urlPathTemplate: http://localhost:8000/{function.name}
//
// Load reports every problem of all files in one run, each with its file,
// line and column. It knows nothing of how a module is put to work.
//
// Older formats, with a version, are read too. Each kind is a table of keys,
// and what the tables say is also the JSON Schema in docs/module.schema.json
// and the reference in docs/modules.md.
package module

//go:generate go run ./gen -docs ../../docs
