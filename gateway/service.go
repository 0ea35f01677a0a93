package gateway

import (
	"fmt"
	"strings"
)

// A function that is a NATS service has a URL such as
// nats://jetfn-functions.shop.{function.name}: its host is the subject of the
// calls. How a call goes there is the business of EndpointConfig.Services; a
// type's name is written as it is in subjects.
const serviceScheme = "nats://"

// checkSubject refuses what is no subject that functions can have.
func checkSubject(s string) error {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsFunc(token, notOfSubjects) {
			return fmt.Errorf("%q is not a subject for functions: letters, digits, - _ and =, parted by dots", s)
		}
	}
	return nil
}

func notOfSubjects(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && r != '-' && r != '_' && r != '='
}
