package runtime

import (
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// placedError is what is wrong at a place of a module.
type placedError struct {
	pos module.Pos
	err error
}

func at(pos module.Pos, err error) error { return &placedError{pos, err} }

func (e *placedError) Error() string { return fmt.Sprintf("%s: %v", e.pos, e.err) }

func (e *placedError) Unwrap() error { return e.err }

// diagnosticsOf are the problems of a module that err is made of. What has no
// place has no line.
func diagnosticsOf(err error) []gateway.Diagnostic {
	var found module.Diagnostics
	var placed *placedError
	joined, many := err.(interface{ Unwrap() []error })
	switch {
	case many:
		var out []gateway.Diagnostic
		for _, one := range joined.Unwrap() {
			out = append(out, diagnosticsOf(one)...)
		}
		return out
	case errors.As(err, &found):
		return diagnostics(found)
	case errors.As(err, &placed):
		return []gateway.Diagnostic{{
			File: placed.pos.File, Line: placed.pos.Line, Column: placed.pos.Column, Severity: module.Error.String(), Message: placed.err.Error(),
		}}
	}
	return []gateway.Diagnostic{{Severity: module.Error.String(), Message: err.Error()}}
}

func diagnostics(found module.Diagnostics) []gateway.Diagnostic {
	out := make([]gateway.Diagnostic, len(found))
	for i, d := range found {
		out[i] = gateway.Diagnostic{
			File: d.File, Line: d.Line, Column: d.Column, Severity: d.Severity.String(), Key: d.Key, Message: d.Message, Hint: d.Hint,
		}
	}
	return out
}
