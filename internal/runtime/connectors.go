package runtime

import (
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/internal/module"
)

// unconnected refuses the ways in and out that nothing here serves, all of
// them at once.
func unconnected(m *module.Module) error {
	var problems []error
	refuse := func(pos module.Pos, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: %s: "+format, append([]any{ErrUsage, pos}, args...)...))
	}
	for _, x := range m.KafkaIngresses {
		refuse(x.Pos, "ingress %s: reading Kafka is not supported yet", x.ID)
	}
	for _, x := range m.KafkaEgresses {
		refuse(x.Pos, "egress %s: writing to Kafka is not supported yet", x.ID)
	}
	for _, x := range m.KinesisIngresses {
		refuse(x.Pos, "ingress %s: reading Kinesis is not supported yet", x.ID)
	}
	for _, x := range m.KinesisEgresses {
		refuse(x.Pos, "egress %s: writing to Kinesis is not supported yet", x.ID)
	}
	for _, x := range m.Ingresses {
		if x.Stream != "" {
			refuse(x.Pos, "ingress %s: reading an existing stream is not supported yet; leave stream out and publish to <app>.ingress.<id>.<key>", x.ID)
		}
	}
	return errors.Join(problems...)
}
