package module_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/internal/module"
)

// parseInTestdata is parse of a file that lies beside order.desc.
func parseInTestdata(s string, opts module.Options) module.Diagnostics {
	opts.Lookup = variables(nil)
	_, found := module.Parse([]module.Source{{Name: filepath.Join("testdata", "m.yaml"), Data: []byte(s)}}, opts)
	return found
}

// change reads a module of testdata and replaces a part of it that it has.
func change(t *testing.T, file, before, after string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), before) {
		t.Fatalf("%s has no %q", file, before)
	}
	return strings.Replace(string(data), before, after, 1)
}

func TestProblemsOfFormatsWithAVersionNameTheirPlace(t *testing.T) {
	t.Parallel()
	const functionSpec = "module.spec.functions[0].function.spec"
	cases := map[string]struct{ file, before, after, want string }{
		"bare version":        {"format-2.0.yaml", `"2.0"`, `2.0`, "m.yaml:1:10: error: version: must be text, is the number 2.0 (put it in quotes)"},
		"later version":       {"format-3.0.yaml", `"3.0"`, `"3.1"`, `m.yaml:1:10: error: version: must be "1.0", "2.0" or "3.0", is "3.1" (newer modules have one document`},
		"no meta":             {"format-1.0.yaml", "  meta:\n    type: remote\n", "", "m.yaml:4:3: error: module.meta: the key is missing"},
		"embedded":            {"format-1.0.yaml", "type: remote", "type: embedded", `m.yaml:5:11: error: module.meta.type: must be remote, is "embedded"`},
		"no spec":             {"format-1.0.yaml", "  spec:\n    functions:", "  parts:\n    functions:", "m.yaml:4:3: error: module.spec: the key is missing"},
		"endpoints too early": {"format-2.0.yaml", "    functions:\n", "    endpoints:\n", "module.spec.endpoints: unknown key (formats 1.0 and 2.0 call them functions)"},
		"functions too late":  {"format-3.0.yaml", "    endpoints:\n", "    functions:\n", "module.spec.functions: unknown key (format 3.0 calls them endpoints)"},
		"grpc":                {"format-1.0.yaml", "kind: http", "kind: grpc", "m.yaml:10:19: error: module.spec.functions[0].function.meta.kind: grpc can't be used: StateFun never had"},
		"odd function":        {"format-1.0.yaml", "kind: http", "kind: htp", `meta.kind: must be http, is "htp" (did you mean http?)`},
		"no endpoint":         {"format-1.0.yaml", "endpoint: http://orders:8000/statefun", "url: http://orders", "m.yaml:13:13: error: " + functionSpec + ".endpoint: the key is missing"},
		"scheme":              {"format-1.0.yaml", "http://orders", "ftp://orders", `m.yaml:13:23: error: ` + functionSpec + `.endpoint: "ftp://orders:8000/statefun" must begin with http://`},
		"read above timeout":  {"format-2.0.yaml", "readTimeout: 20s", "readTimeout: 31s", "m.yaml:23:26: error: " + functionSpec + ".readTimeout: must not be longer than timeout, which is 30s"},
		"zero timeout":        {"format-2.0.yaml", "timeout: 30s", "timeout: 0s", functionSpec + ".timeout: must be longer than zero"},
		"states of 1.0":       {"format-1.0.yaml", "- total", "- name: total", "m.yaml:15:17: error: " + functionSpec + ".states[0]: must be text, is a mapping"},
		"states of 2.0":       {"format-2.0.yaml", "- name: notes", "- notes", functionSpec + `.states[2]: must be a mapping of keys to values, is the text "notes"`},
		"expire mode":         {"format-2.0.yaml", "after-write", "afterwrite", functionSpec + `.states[1].expireMode: must be after-invoke or after-write, is "afterwrite" (did you mean after-write?)`},
		"two functions":       {"format-1.0.yaml", "com.example/nested/stock", "shop/order", "m.yaml:22:19: error: module.spec.functions[1].function.meta.type: function shop/order is declared already, at testdata/m.yaml:11:19"},
		"a wildcard":          {"format-1.0.yaml", "type: shop/order", "type: shop/*", `meta.type: "shop/*" has a * where one name is needed`},
		"a bad item":          {"format-2.0.yaml", "      - function:\n", "      - functions:\n", "m.yaml:8:9: error: module.spec.functions[0].function: the key is missing"},
		"router type":         {"format-1.0.yaml", "sdk/protobuf-router", "sdk/router", "router.meta.type: must be org.apache.flink.statefun.sdk/protobuf-router"},
		"router template":     {"format-1.0.yaml", "shop/order/{{$.customer.name}}", "order/{{$.id}}", `m.yaml:32:21: error: module.spec.routers[0].router.spec.target: "order/{{$.id}}" is not of the form namespace/name/id`},
		"router path":         {"format-1.0.yaml", "$.customer.name", "$.customer.nam", `router.spec.target: {{$.customer.nam}}: shop.Customer has no field "nam"; it has name, number`},
		"router to jetfn":     {"format-1.0.yaml", `"shop/order/`, `"jetfn/call/`, "router.spec.target: the namespace jetfn is jetfn's own"},
		"router's message":    {"format-1.0.yaml", "messageType: shop.Order", "messageType: shop.Ordr", "order.desc has no message type shop.Ordr; it has shop.Customer, shop.Item, shop.Order"},
		"router's file":       {"format-1.0.yaml", "classpath:order.desc", "classpath:none.desc", "none.desc can't be read: no such file or directory"},
		"router's file's data": {
			"format-1.0.yaml", "classpath:order.desc", "classpath:order.proto", "order.proto is no descriptor set; make one with protoc",
		},
		"router's ingress": {"format-1.0.yaml", "ingress: shop/raw-orders", "ingress: shop/raw", "m.yaml:31:22: error: module.spec.routers[0].router.spec.ingress: there is no ingress shop/raw"},
		"no router": {
			"format-3.0.yaml", "    routers:\n", "    roters:\n", "module.spec.roters: unknown key (did you mean routers?)",
		},
		"ingress type":   {"format-2.0.yaml", "statefun.kafka.io/routable-protobuf-ingress", "io.statefun.kafka/ingress", "ingress.meta.type: must be statefun.kafka.io/routable-protobuf-ingress,"},
		"type url":       {"format-2.0.yaml", "typeUrl: com", "valueType: com", "topics[0].typeUrl: the key is missing"},
		"value type":     {"format-3.0.yaml", "valueType: shop/Order", "typeUrl: shop/Order", "topics[0].valueType: the key is missing"},
		"no id":          {"format-3.0.yaml", "            id: shop/receipts\n", "", "egress.meta.id: the key is missing"},
		"ingress twice":  {"format-3.0.yaml", "id: shop/raw-orders", "id: shop/orders", "ingresses[1].ingress.meta.id: ingress shop/orders is declared already, at testdata/m.yaml:40:17"},
		"jetfn's own":    {"format-1.0.yaml", "com.example/nested/stock", "jetfn/x/stock", "the namespace jetfn is jetfn's own (use another namespace)"},
		"millis as text": {"format-1.0.yaml", "transactionTimeoutMillis: 100000", "transactionTimeoutMillis: 15min", `deliverySemantic.transactionTimeoutMillis: must be a whole number, is the text "15min"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := parseInTestdata(change(t, c.file, c.before, c.after), module.Options{Strict: true})
			if !strings.Contains(found.Errors().Error(), c.want) {
				t.Errorf("Parse reported\n%s\nwant a line with\n%s", found.Error(), c.want)
			}
		})
	}
}

func TestProblemsOfKafkaAndKinesisNameTheirPlace(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ before, after, want string }{
		"no address":        {"  address: kafka:9092\n", "", "m.yaml:53:3: error: spec.address: the key is missing (or give the property bootstrap.servers)"},
		"no group":          {"    - group.id: events\n", "", "spec.consumerGroupId: the key is missing (or give the property group.id)"},
		"no topics":         {"  topics:\n    - topic: events\n      valueType: shop/Event\n      targets: [shop/event]\n", "  topics: []\n", "spec.topics: must have at least one item"},
		"no targets":        {"targets: [shop/event]", "targets: []", "spec.topics[0].targets: must have at least one item"},
		"value type":        {"valueType: shop/Event", "valueType: Event", `spec.topics[0].valueType: type name "Event" is not of the form namespace/name`},
		"topic twice":       {"topic: returns", "topic: orders", `m.yaml:61:7: error: spec.topics[1]: topic "orders" occurs twice`},
		"start":             {"{type: date, date: \"2026-02-01 04:15:00.000 +0100\"}", "{type: latst}", `spec.startupPosition.type: must be latest, earliest, group-offsets, specific-offsets or date, is "latst" (did you mean latest?)`},
		"start without":     {"{type: date, date: \"2026-02-01 04:15:00.000 +0100\"}", "{}", "spec.startupPosition.type: the key is missing"},
		"date":              {"2026-02-01 04:15:00.000 +0100", "2026-02-01T04:15:00Z", `spec.startupPosition.date: "2026-02-01T04:15:00Z" is no date of the form yyyy-MM-dd HH:mm:ss.SSS Z`},
		"no offsets":        {"{type: date, date: \"2026-02-01 04:15:00.000 +0100\"}", "{type: specific-offsets, offsets: []}", "spec.startupPosition.offsets: must have at least one item"},
		"offset":            {"{type: date, date: \"2026-02-01 04:15:00.000 +0100\"}", "{type: specific-offsets, offsets: [orders/x: 1]}", `spec.startupPosition.offsets[0].orders/x: "orders/x" is not of the form topic/partition`},
		"offset of another": {"{type: date, date: \"2026-02-01 04:15:00.000 +0100\"}", "{type: latest, date: x}", "spec.startupPosition.date: unknown key (it belongs to type: date)"},
		"properties":        {"    - bootstrap.servers: kafka-1:9092,kafka-2:9092\n    - group.id: events", "    bootstrap.servers: k:1\n    group.id: events", "spec.properties: must be a list, is a mapping (write it as a list of - name: value)"},
		"property":          {"- compression.type: lz4", "- compression.type: [lz4]", "spec.properties[0].compression.type: must be text or a number, is a list"},
		"semantic":          {"{type: none}", "{type: at-most-once}", `spec.deliverySemantic.type: must be at-least-once, exactly-once or none, is "at-most-once"`},
		"no time":           {", transactionTimeout: 1min", "", "spec.deliverySemantic.transactionTimeout: the key is missing"},
		"region":            {"{type: specific, id: eu-central-1}", "{type: specific}", "spec.awsRegion.id: the key is missing"},
		"credentials":       {"awsCredentials: {type: default}", "awsCredentials: {type: basic, accessKeyId: a}", "spec.awsCredentials.secretAccessKey: the key is missing"},
		"a wrong level":     {"  timeouts: {call: 20s}", "  call: 20s", "spec.call: unknown key (did you mean timeouts.call?)"},
		"a foreign subject": {"  stream: LEGACY\n", "", "spec.subject: belongs to an existing stream, and none is named"},
		"foreign wildcard":  {"legacy.visits.*", "legacy.>.visits", `spec.subject: "legacy.>.visits" is no subject`},
		"a jetfn target":    {"targets: [shop/label]", "targets: [jetfn/call]", "spec.streams[0].targets[0]: the namespace jetfn is jetfn's own"},
		"a key's password":  {"    client_cert: client.pem\n    client_key: file:///etc/shop/client.key\n", "", "spec.transport.client_key_password: there is no client_key that it could open"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := parseInTestdata(change(t, "kinds.yaml", c.before, c.after), module.Options{Strict: true})
			if !strings.Contains(found.Errors().Error(), c.want) {
				t.Errorf("Parse reported\n%s\nwant a line with\n%s", found.Error(), c.want)
			}
		})
	}
}

func TestSecretsAreNotInMessages(t *testing.T) {
	t.Parallel()
	found := parseInTestdata(`
kind: io.statefun.kinesis.v1/egress
spec:
  id: a/b
  awsCredentials: {type: basic, accessKeyId: 4711, secretAccessKey: [hunter2]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: a/b, urlPathTemplate: "ftp://me:hunter2@host/"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: a/c, urlPathTemplate: "http://me:hunter2@ho st/"}
`, module.Options{Strict: true})
	text := found.Error()
	if len(found.Errors()) != 4 || strings.Contains(text, "hunter2") || strings.Contains(text, "4711") {
		t.Errorf("Parse reported\n%s\nwant four errors without the secrets", text)
	}
}

func TestAnIngressForRoutersNeedsOne(t *testing.T) {
	t.Parallel()
	text := change(t, "format-3.0.yaml", "    routers:\n", "    routers: []\n    ignored:\n")
	found := parseInTestdata(text, module.Options{})
	if want := "the ingress shop/raw-orders has no router, so its records reach nobody (add a router with ingress: shop/raw-orders)"; !strings.Contains(found.Errors().Error(), want) {
		t.Errorf("Parse reported\n%s\nwant a line with\n%s", found.Error(), want)
	}
}

func TestACheckAdvisesOnConcurrentCallsOfProtocol2(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "format-1.0.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "warning: module.spec.functions[0].function.spec: functions of protocol v2 without maxConcurrentRequests"
	found := parseInTestdata(string(data), module.Options{Advise: true})
	if len(found) != 1 || !strings.Contains(found.Error(), want) {
		t.Errorf("with Advise: %v, want a line with %s", found, want)
	}
	twice := strings.Replace(string(data), "http+unix:///run/stock.sock/statefun\n            maxConcurrentRequests: 1", "http://orders:8000/statefun", 1)
	if found := parseInTestdata(twice, module.Options{Advise: true}); len(found) != 1 {
		t.Errorf("with Advise and two functions at one URL: %v, want one line", found)
	}
	if found := parseInTestdata(string(data), module.Options{}); len(found) > 0 {
		t.Errorf("without Advise: %v, want nothing", found)
	}
}
