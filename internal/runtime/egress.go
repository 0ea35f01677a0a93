package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// errUndeclared means that a function used an egress that no module declares.
var errUndeclared = errors.New("no module declares the egress")

// playgroundRecordType is the type of the playground's egress messages.
const playgroundRecordType = "io.statefun.playground/EgressRecord"

// playgroundID is the one egress id of the playground.
func playgroundID() actor.TypeName {
	return actor.TypeName{Namespace: "io.statefun.playground", Name: "egress"}
}

// egresses are those that the module declares.
type egresses struct {
	patterns   []module.Pattern
	playground bool
	topics     []string
	records    map[actor.TypeName]record // of Kafka and Kinesis
}

func newEgresses(m *module.Module) *egresses {
	e := &egresses{records: recordEgresses(m)}
	for _, x := range m.Egresses {
		e.patterns = append(e.patterns, x.ID)
	}
	for _, x := range m.PlaygroundEgresses {
		e.playground = true
		e.topics = append(e.topics, x.Topics...)
	}
	return e
}

// admit returns m as it is to be stored, with its key and topic.
func (e *egresses) admit(m actor.EgressMessage) (actor.EgressMessage, error) {
	if e.playground && m.ID == playgroundID() {
		topic, _, err := gateway.PlaygroundRecord(m.Value)
		if err != nil {
			return m, fmt.Errorf("egress %s: %w", m.ID, err)
		}
		if !slices.Contains(e.topics, topic) {
			return m, fmt.Errorf("%w %s with the topic %q; declared topics: %s", errUndeclared, m.ID, topic, strings.Join(e.topics, ", "))
		}
		m.Key, m.Topic = topic, topic
		return m, nil
	}
	if r, ok := e.records[m.ID]; ok {
		return r.admit(m)
	}
	if !slices.ContainsFunc(e.patterns, func(p module.Pattern) bool { return p.Matches(m.ID) }) {
		return m, fmt.Errorf("%w %s; declare it, or repair its name in the function", errUndeclared, m.ID)
	}
	out, err := gateway.UnwrapEgress(m)
	if err != nil {
		return m, fmt.Errorf("egress %s: %w", m.ID, err)
	}
	return out, nil
}

// prefixes are the subjects that the module gives its egresses.
func prefixes(m *module.Module) map[actor.TypeName]string {
	out := map[actor.TypeName]string{}
	for _, x := range m.Egresses {
		if x.Subject == "" {
			continue
		}
		id := actor.TypeName{Namespace: x.ID.Namespace, Name: x.ID.Name}
		if id.Name == "" {
			id.Name = "*"
		}
		out[id] = x.Subject
	}
	return out
}
