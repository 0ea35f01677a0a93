package runtime

import (
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/internal/module"
)

// unconnected refuses the ways in and out that nothing here serves, all of
// them at once.
func unconnected(m *module.Module, natsForKafka bool) error {
	var problems []error
	refuse := func(pos module.Pos, format string, args ...any) {
		problems = append(problems, at(pos, fmt.Errorf(format, args...)))
	}
	const instead = "there is no connection to %s yet; to try the application without it, --nats-for-kafka makes topics NATS subjects"
	if !natsForKafka {
		for _, x := range m.KafkaIngresses {
			refuse(x.Pos, "ingress %s: "+instead, x.ID, "Kafka")
		}
		for _, x := range m.KafkaEgresses {
			refuse(x.Pos, "egress %s: "+instead, x.ID, "Kafka")
		}
		for _, x := range m.KinesisIngresses {
			refuse(x.Pos, "ingress %s: "+instead, x.ID, "Kinesis")
		}
		for _, x := range m.KinesisEgresses {
			refuse(x.Pos, "egress %s: "+instead, x.ID, "Kinesis")
		}
	}
	return errors.Join(problems...)
}
