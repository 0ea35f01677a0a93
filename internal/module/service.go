package module

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
)

// natsScheme begins the URL of functions that are NATS services: what follows
// is a subject, or the prefix of a service's subjects.
const natsScheme = "nats://"

// subjectOfCalls is a subject that calls of functions may go to: no wildcard,
// and none of NATS' own.
var subjectOfCalls = regexp.MustCompile(`^[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]+)*$`)

// IsService reports whether the functions are NATS services.
func (e *Endpoint) IsService() bool { return strings.HasPrefix(e.URLTemplate, natsScheme) }

// ServiceEndpoint is the endpoint of functions that a service has announced,
// with a prefix for its subjects: all as if a module said no more than that.
func ServiceEndpoint(functions Pattern, prefix string) Endpoint {
	e := Endpoint{
		Functions: functions, MaxBatch: defaultMaxBatch, Transport: asyncDefaults(),
		URLTemplate: natsScheme + prefix + "." + actor.Escape(functions.Namespace) + "." + functionName,
	}
	e.Failure.Budget = e.Transport.Call
	return e
}

func (l *loader) checkSubject(n *yaml.Node, path, subject string) bool {
	if subjectOfCalls.MatchString(subject) {
		return true
	}
	l.errorf(n, path, "such as nats://jetfn-functions for the functions of a service, or nats://some.subject.{function.name}",
		"%q is no subject that can be called", subject)
	return false
}

// serviceURL completes the URL of a service's prefix: its functions have the
// subjects <prefix>.<namespace>.<name>.
func serviceURL(template, namespace string) string {
	prefix, ok := strings.CutPrefix(template, natsScheme)
	if !ok || namespace == "" || strings.ContainsAny(prefix, ".{") {
		return template
	}
	return natsScheme + prefix + "." + actor.Escape(namespace) + "." + functionName
}
