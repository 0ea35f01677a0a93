package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// examples are what the help of each command ends with, by command.
func examples() map[string][]string {
	return map[string][]string{
		"run": {
			"jetfn run module.yaml",
			"jetfn run --data /var/lib/jetfn --http 127.0.0.1:9000 module.yaml more.yaml",
			"jetfn run --nats nats://nats-1:4222,nats://nats-2:4222 module.yaml",
			"jetfn run --nats-for-kafka module.yaml",
		},
		"validate": {
			"jetfn validate module.yaml more.yaml",
			"jetfn validate -o json module.yaml",
		},
		"demo": {
			"jetfn demo",
			"jetfn demo --once",
			"jetfn demo --once --trace",
		},
		"send": {
			"jetfn send example/greeter/Ada hello",
			"jetfn send example/counter/Ada 5 --type io.statefun.types/long",
			"jetfn send example/order/17 - --type shop/Order < order.bin",
			"jetfn send example/order/17 '{\"product\": \"pen\"}' --json --type shop/Order --idempotency-key 4711",
		},
		"call": {
			"jetfn call example/greeter/Ada hello",
			"jetfn call example/order/17 '{\"product\": \"pen\"}' --json --type shop/Order --timeout 5s -o json",
		},
		"state get": {
			"jetfn state get example/greeter/Ada",
			"jetfn state get example/greeter/Ada -o json",
			"jetfn state get shop/cart/17 --table items --limit 20",
		},
		"state ls": {
			"jetfn state ls example/greeter",
			"jetfn state ls example/greeter --after Ada --limit 100 -o json",
		},
		"dlq ls": {
			"jetfn dlq ls",
			"jetfn dlq ls --function example/greeter --limit 20 -o json",
		},
		"dlq show":   {"jetfn dlq show 3f2a"},
		"dlq replay": {"jetfn dlq replay 3f2a 9c01", "jetfn dlq replay --function example/greeter --rate 100"},
		"dlq drop":   {"jetfn dlq drop 3f2a", "jetfn dlq drop --function example/greeter"},
		"timers ls": {
			"jetfn timers ls",
			"jetfn timers ls --function example/greeter --before 1h -o json",
		},
		"timers cancel": {"jetfn timers cancel 3f2a", "jetfn timers cancel --caller example/order/17"},
		"top":           {"jetfn top", "jetfn top --once --partitions 0"},
		"inspect":       {"jetfn inspect example/greeter/Ada"},
		"tail":          {"jetfn tail egress", "jetfn tail example/greeter -n 10 -o json"},
		"partitions":    {"jetfn partitions -o json"},
		"module ls":     {"jetfn module ls", "jetfn module ls -o json"},
		"module show":   {"jetfn module show", "jetfn module show 3"},
		"module diff":   {"jetfn module diff", "jetfn module diff 3 5", "jetfn module diff --file module.yaml"},
		"module apply": {
			"jetfn module apply module.yaml more.yaml",
			"jetfn module apply module.yaml --if-revision 5",
		},
		"module rollback": {"jetfn module rollback", "jetfn module rollback 3"},
		"bench": {
			"jetfn bench",
			"jetfn bench --function http --keys 100000 --duration 30s -o json",
		},
		"completion": {
			"source <(jetfn completion bash)",
			"source <(jetfn completion zsh)",
			"jetfn completion fish | source",
		},
		"version": {
			"jetfn version",
			"jetfn version -o json",
		},
	}
}

// addExamples puts the examples into the help of their commands.
func addExamples(app *kong.Application) {
	all := examples()
	for _, n := range app.Leaves(false) {
		if lines := all[commandName(n)]; len(lines) > 0 && n.Detail == "" {
			n.Detail = "Examples:\n\n    " + strings.Join(lines, "\n    ")
		}
	}
}

// commandName is a command as it is typed, such as "state get".
func commandName(n *kong.Node) string {
	name := n.Name
	for p := n.Parent; p != nil && p.Type == kong.CommandNode; p = p.Parent {
		name = p.Name + " " + name
	}
	return name
}
