package sdk

import (
	"fmt"
	"strings"
)

// TypeName names a function type, a value type or an egress. Its text is
// "namespace/name". The zero value names nothing.
type TypeName struct {
	Namespace string
	Name      string
}

// ParseTypeName reads "namespace/name": exactly one slash, neither part empty.
func ParseTypeName(s string) (TypeName, error) {
	namespace, name, ok := strings.Cut(s, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return TypeName{}, fmt.Errorf("type name %q is not of the form namespace/name", s)
	}
	return TypeName{Namespace: namespace, Name: name}, nil
}

// String is "namespace/name".
func (n TypeName) String() string { return n.Namespace + "/" + n.Name }

// Address is one instance of a function: its type and an id. The zero value
// is nobody's address.
type Address struct {
	Type TypeName
	ID   string
}

// To is the address of the function type "namespace/name" with an id. A type
// that is none makes an address that sends refuse.
func To(functionType, id string) Address {
	namespace, name, _ := strings.Cut(functionType, "/")
	return Address{Type: TypeName{Namespace: namespace, Name: name}, ID: id}
}

// IsZero reports whether a is nobody's address.
func (a Address) IsZero() bool { return a == Address{} }

// String is "namespace/name/id".
func (a Address) String() string { return a.Type.String() + "/" + a.ID }

// check refuses an address that nobody can have.
func (a Address) check() error {
	if a.Type.Namespace == "" || a.Type.Name == "" || a.ID == "" || strings.Contains(a.Type.Name, "/") {
		return fmt.Errorf("%q is no address: a namespace, a type and an id are needed", a.String())
	}
	return nil
}
