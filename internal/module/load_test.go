package module_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
)

const full = `# everything
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: ${BASE}/{function.name}
  maxNumBatchRequests: ${BATCH:-17}
  maxConcurrentRequests: 4
  transport:
    type: io.statefun.transports.v1/async
    call: 1min
    connect: 5 s
    pool_ttl: 0
  failure:
    attempts: 3
    budget: 20s
    backoff: {min: 5, max: 1 s}
    final: [400, 404]
    then: deadLetter
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/slow
  urlPathTemplate: https://slow:8443/x
  transport:
    type: io.statefun.transports.v1/okhttp
    timeouts: {call: 2 s, read: 1s}
---
kind: io.statefun.playground.v1/ingress
spec: {port: 8090}
---
kind: io.statefun.playground.v1/egress
spec:
  port: 8091
  topics: [greetings, "other"]
---
kind: io.jetfn.nats.v1/ingress
spec:
  id: shop/orders
  valueType: shop/Order
  targets: [example/slow, example/audit]
---
kind: io.jetfn.nats.v1/egress
spec: {id: shop/*}
---
kind: io.jetfn.nats.v1/egress
spec:
  id: demo/greetings
  subject: greetings.out
---
`

func TestEveryKindIsReadWithItsDefaults(t *testing.T) {
	t.Parallel()
	m, found := module.Parse([]module.Source{{Name: "m.yaml", Data: []byte(full)}}, module.Options{
		Strict: true,
		Lookup: variables(map[string]string{"BASE": "http://fns:8000"}),
	})
	if len(found) > 0 {
		t.Fatalf("Parse reported\n%v", found)
	}
	want := &module.Module{
		Endpoints: []module.Endpoint{
			{
				Functions: module.Pattern{Namespace: "example"}, URLTemplate: "http://fns:8000/{function.name}", MaxBatch: 17, MaxConcurrent: 4,
				Transport: module.Transport{Call: time.Minute, Connect: 5 * time.Second, PoolSize: 1024, MaxBytes: 32 << 20},
				Failure: module.Failure{
					Attempts: 3, Budget: 20 * time.Second, BackoffMin: 5 * time.Millisecond, BackoffMax: time.Second, Final: []int{400, 404},
				},
			},
			{
				Functions: module.Pattern{Namespace: "example", Name: "slow"}, URLTemplate: "https://slow:8443/x", MaxBatch: 1000,
				Transport: module.Transport{
					Kind: module.TransportOkHTTP, Call: 2 * time.Second, Connect: 2 * time.Second, Read: time.Second, Write: 2 * time.Second,
					PoolSize: 1024, PoolTTL: time.Minute, MaxBytes: 32 << 20,
				},
				Failure: module.Failure{Budget: 2 * time.Second},
			},
		},
		PlaygroundIngresses: []module.PlaygroundIngress{{Port: 8090}},
		PlaygroundEgresses:  []module.PlaygroundEgress{{Port: 8091, Topics: []string{"greetings", "other"}}},
		Ingresses: []module.Ingress{{
			ID: actor.TypeName{Namespace: "shop", Name: "orders"}, ValueType: "shop/Order",
			Targets: []actor.TypeName{{Namespace: "example", Name: "slow"}, {Namespace: "example", Name: "audit"}},
		}},
		Egresses: []module.Egress{
			{ID: module.Pattern{Namespace: "shop"}},
			{ID: module.Pattern{Namespace: "demo", Name: "greetings"}, Subject: "greetings.out"},
		},
	}
	if diff := cmp.Diff(want, m, cmpopts.IgnoreTypes(module.Pos{})); diff != "" {
		t.Errorf("Parse of the full module (-want +got):\n%s", diff)
	}
	if got, want := m.Endpoints[1].Pos, (module.Pos{File: "m.yaml", Line: 20, Column: 1}); got != want {
		t.Errorf("position of the second endpoint = %v, want %v", got, want)
	}
}

func TestTheAsyncTransportIsTheDefault(t *testing.T) {
	t.Parallel()
	m, found := parse("kind: io.statefun.endpoints.v2/http\nspec: {functions: a/b, urlPathTemplate: \"http://h/\"}\n")
	if len(found) > 0 {
		t.Fatalf("Parse reported\n%v", found)
	}
	want := module.Transport{Call: 2 * time.Minute, Connect: 20 * time.Second, PoolSize: 1024, PoolTTL: 15 * time.Second, MaxBytes: 32 << 20}
	if diff := cmp.Diff(want, m.Endpoints[0].Transport); diff != "" {
		t.Errorf("transport without keys (-want +got):\n%s", diff)
	}
	if got := m.Endpoints[0].Failure; got.Budget != 2*time.Minute {
		t.Errorf("failure without keys = %+v, want the budget of call", got)
	}
}

func TestTimeoutsOverrideTheFlatKeysOfTheAsyncTransport(t *testing.T) {
	t.Parallel()
	m, _ := parse(endpoint("  transport: {call: 9s, connect: 9s, timeouts: {call: 30s}}\n"))
	got := m.Endpoints[0].Transport
	if got.Call != 30*time.Second || got.Connect != 10*time.Second {
		t.Errorf("call, connect = %s, %s; want 30s, 10s", got.Call, got.Connect)
	}
}

func TestProtocolStatesCertificatesAndPausesAreHandedOver(t *testing.T) {
	t.Parallel()
	m, found := module.Parse([]module.Source{{Name: "conf/m.yaml", Data: []byte(endpoint(`  protocol: v2
  states: [{name: a}, {name: b, expireAfter: 1h}, {name: c, expireAfter: 1 s, expireMode: after-write}]
  transport: {trust_cacerts: "classpath:ca.pem", client_cert: "file:///etc/c.pem", client_key: keys/k.pem, client_key_password: /run/p}
  failure: {then: pauseAddress}
`))}}, module.Options{Strict: true})
	if len(found) > 0 {
		t.Fatalf("Parse reported\n%v", found)
	}
	e := m.Endpoints[0]
	states := []module.State{
		{Name: "a"}, {Name: "b", ExpireAfter: time.Hour}, {Name: "c", ExpireAfter: time.Second, ExpireMode: module.ExpireAfterWrite},
	}
	if diff := cmp.Diff(states, e.States); diff != "" || e.Protocol != module.ProtocolV2 {
		t.Errorf("protocol %s, states (-want +got):\n%s", e.Protocol, diff)
	}
	tls := module.TLS{TrustCACerts: "conf/ca.pem", ClientCert: "/etc/c.pem", ClientKey: "conf/keys/k.pem", ClientKeyPassword: "/run/p"}
	if diff := cmp.Diff(tls, e.Transport.TLS); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
	if e.Failure.Then != module.ThenPauseAddress {
		t.Errorf("then = %d, want pauseAddress", e.Failure.Then)
	}
}

func TestProblemsNameTheirPlaceAndTheRemedy(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		yaml string
		want string // one line of what is reported
	}{
		"malformed":          {"kind: {a\nspec: 1\n", "m.yaml:3:1: error: not valid YAML: did not find expected ',' or '}' (while parsing a flow mapping that begins on line 1)"},
		"no mapping":         {"- a\n", "m.yaml:1:1: error: must be a mapping of keys to values, is a list"},
		"no kind":            {"spec: {}\n", "m.yaml:1:1: error: kind: the key is missing"},
		"no spec":            {"kind: io.jetfn.nats.v1/egress\n", "m.yaml:1:1: error: spec: the key is missing"},
		"no kind's value":    {"kind:\nspec: {}\n", "m.yaml:1:1: error: kind: the key has no value"},
		"no spec's value":    {"kind: io.jetfn.nats.v1/egress\nspec:\n# nothing\n", "m.yaml:2:1: error: spec: the key has no value"},
		"no version":         {"module:\n  meta: {type: remote}\n", `m.yaml:1:1: error: version: the key is missing (say "1.0", "2.0" or "3.0"`},
		"extension":          {"kind: com.example.amqp/ingress\nspec: {}\n", `unknown kind "com.example.amqp/ingress" (kinds of extension modules need StateFun's JVM, which isn't here; kinds: io.statefun.endpoints.v2/http, `},
		"config map":         {"apiVersion: v1\nkind: ConfigMap\ndata:\n  flink.yaml: a\n  app.yaml: |\n    kind: x\n", "m.yaml:2:7: error: kind: this is a manifest of Kubernetes, a ConfigMap, and no module (the module is the text below app.yaml on line 5: put it into a file of its own)"},
		"other manifest":     {"apiVersion: v1\nkind: Service\n", "m.yaml:2:7: error: kind: this is a manifest of Kubernetes, a Service, and no module (give jetfn the module itself)"},
		"archive":            {"PK\x03\x04\x00\x00", "m.yaml: error: this is an archive such as a JAR, and no module (embedded functions need StateFun's JVM"},
		"unknown kind":       {"kind: io.statefun.endpoint.v2/http\nspec: {}\n", `m.yaml:1:7: error: kind: unknown kind "io.statefun.endpoint.v2/http" (did you mean io.statefun.endpoints.v2/http?)`},
		"unknown key":        {endpoint("  maxNumBatchRequest: 1\n"), "m.yaml:5:3: warning: spec.maxNumBatchRequest: unknown key (did you mean maxNumBatchRequests?)"},
		"unknown nats key":   {"kind: io.jetfn.nats.v1/egress\nspec:\n  id: a/b\n  subjects: x\n", "m.yaml:4:3: error: spec.subjects: unknown key (did you mean subject?)"},
		"unknown top key":    {"kind: io.jetfn.nats.v1/egress\nmeta: 1\nspec: {id: a/b}\n", "m.yaml:2:1: error: meta: unknown key"},
		"wrong type":         {endpoint("  maxNumBatchRequests: \"5 a\"\n"), `m.yaml:5:24: error: spec.maxNumBatchRequests: must be a whole number, is the text "5 a" (write it without quotes)`},
		"wrong type of ours": {"kind: io.jetfn.nats.v1/ingress\nspec: {id: a/b, subject: 5, targets: [x/y]}\n", "spec.subject: must be text, is the number 5 (put it in quotes)"},
		"wildcard inside":    {strings.Replace(endpoint(""), "a/b", `"a/b*"`, 1), `m.yaml:3:14: error: spec.functions: "a/b*": a * stands for all names`},
		"no slash":           {strings.Replace(endpoint(""), "a/b", "ab", 1), `m.yaml:3:14: error: spec.functions: type name "ab" is not of the form namespace/name`},
		"bad url":            {strings.Replace(endpoint(""), "http://h", "ftp://h", 1), `spec.urlPathTemplate: "ftp://h/" must begin with http://`},
		"no host":            {strings.Replace(endpoint(""), "http://h", "http:", 1), `spec.urlPathTemplate: "http:/" names no host`},
		"other placeholder":  {strings.Replace(endpoint(""), "http://h/", "\"http://h/{function.id}\"", 1), "error: spec.urlPathTemplate: {function.id} is no placeholder, the only one is {function.name}"},
		"duration":           {endpoint("  transport: {call: PT5S}\n"), `m.yaml:5:21: error: spec.transport.call: "PT5S" is no duration`},
		"zero call":          {endpoint("  transport: {call: 0}\n"), "m.yaml:5:21: error: spec.transport.call: must be longer than zero"},
		"read above call":    {endpoint("  transport: {type: io.statefun.transports.v1/okhttp, timeouts: {call: 1s, read: 2s}}\n"), "spec.transport.timeouts.read: must not be longer than call, which is 1s"},
		"unknown transport":  {endpoint("  transport: {type: netty, call: 1s}\n"), `m.yaml:5:21: error: spec.transport.type: must be io.statefun.transports.v1/async or io.statefun.transports.v1/okhttp, is "netty"`},
		"unix":               {strings.Replace(endpoint(""), "http://h", "http+unix:///a", 1), `"http+unix:///a/" names no socket`},
		"no subject":         {strings.Replace(endpoint(""), "http://h/", "nats://a.*", 1), `m.yaml:4:20: error: spec.urlPathTemplate: "a.*" is no subject that can be called`},
		"nats path":          {strings.Replace(endpoint(""), "http://h/", "nats://a.b/c", 1), `"a.b/c" is no subject that can be called`},
		"nats own":           {strings.Replace(endpoint(""), "http://h/", "nats://$JS.API.INFO", 1), `"$JS.API.INFO" is no subject that can be called`},
		"half a pair":        {endpoint("  transport: {client_cert: a.pem}\n"), "m.yaml:5:14: error: spec.transport: client_cert and client_key go together"},
		"states of v3":       {endpoint("  states: [{name: a}]\n"), "m.yaml:5:11: error: spec.states: states belong to protocol v2"},
		"state twice":        {endpoint("  protocol: v2\n  states: [{name: a}, {name: a}]\n"), `m.yaml:6:23: error: spec.states[1]: state a occurs twice`},
		"expire mode":        {endpoint("  protocol: v2\n  states: [{name: a, expireMode: soon}]\n"), `must be after-invoke or after-write, is "soon"`},
		"status":             {endpoint("  failure: {final: [200]}\n"), "spec.failure.final[0]: must be a whole number from 300 to 599, is 200"},
		"undefined":          {endpoint("  maxNumBatchRequests: ${NOPE}\n"), "m.yaml:5:24: error: spec.maxNumBatchRequests: variable NOPE is not defined; set it, or give a default as in ${NOPE:-value}"},
		"open variable":      {endpoint("  protocol: ${NOPE\n"), "spec.protocol: a ${ without its }"},
		"twice the key":      {endpoint("  functions: a/c\n"), "m.yaml:5:3: error: spec.functions: the key is already on line 3"},
		"port":               {"kind: io.statefun.playground.v1/ingress\nspec: {port: 70000}\n", "spec.port: must be a whole number from 1 to 65535, is 70000"},
		"no target":          {"kind: io.jetfn.nats.v1/ingress\nspec: {id: a/b, targets: []}\n", "spec.targets: must have at least one item"},
		"target twice":       {"kind: io.jetfn.nats.v1/ingress\nspec: {id: a/b, targets: [x/y, x/y]}\n", "spec.targets[1]: target x/y occurs twice"},
		"unserved target":    {"kind: io.jetfn.nats.v1/ingress\nspec: {id: a/b, targets: [x/y]}\n", "m.yaml:2:27: warning: spec.targets[0]: no endpoint serves the function x/y"},
		"wildcard subject":   {"kind: io.jetfn.nats.v1/egress\nspec: {id: a/b, subject: a.>}\n", `spec.subject: "a.>" is no subject to publish to`},
		"function twice":     {endpoint("") + "---\n" + endpoint(""), "m.yaml:8:14: error: spec.functions: function a/b is declared already, at m.yaml:3:14"},
		"egress twice":       {"kind: io.jetfn.nats.v1/egress\nspec: {id: a/*}\n---\nkind: io.jetfn.nats.v1/egress\nspec: {id: a/*}\n", "spec.id: egress a/* is declared already, at m.yaml:2:12"},
		"same port":          {"kind: io.statefun.playground.v1/ingress\nspec: {port: 80}\n---\nkind: io.statefun.playground.v1/egress\nspec: {port: 80, topics: [a]}\n", "spec.port: port 80 is declared already, at m.yaml:2:14"},
		"empty file":         {"# nothing\n", "m.yaml: warning: the file has no documents"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := parse(c.yaml)
			if !strings.Contains(found.Error(), c.want) {
				t.Errorf("Parse reported\n%s\nwant a line with\n%s", found.Error(), c.want)
			}
		})
	}
}

func TestNumbersAndTextsAreTakenForEachOtherAsInStateFun(t *testing.T) {
	t.Parallel()
	const doc = `kind: io.statefun.endpoints.v2/http
spec: {functions: a/*, urlPathTemplate: "http://h/", maxNumBatchRequests: "500", transport: {type: io.statefun.transports.v1/async, pool_size: "10"}}
---
kind: io.statefun.kafka.v1/ingress
spec: {id: a/in, address: "kafka:9092", consumerGroupId: 42, topics: [{topic: 2024, valueType: a/b, targets: [a/f]}]}
---
kind: io.statefun.kinesis.v1/egress
spec: {id: a/out, awsCredentials: {type: basic, accessKeyId: 12, secretAccessKey: 34}}
`
	m, found := parse(doc)
	if len(found.Errors()) > 0 || len(found.Warnings()) != 6 {
		t.Fatalf("Parse reported\n%s\nwant 6 warnings", found.Error())
	}
	if e := m.Endpoints[0]; e.MaxBatch != 500 || e.Transport.PoolSize != 10 {
		t.Errorf("batches of %d, a pool of %d, want 500 and 10", e.MaxBatch, e.Transport.PoolSize)
	}
	if strings.Contains(found.Error(), "34") {
		t.Errorf("a secret is shown:\n%s", found.Error())
	}
	for _, want := range []string{
		"m.yaml:2:75: warning: spec.maxNumBatchRequests: should be a whole number (write it without quotes)",
		"m.yaml:5:58: warning: spec.consumerGroupId: should be text (put it in quotes)", "spec.topics[0].topic: should be text",
	} {
		if !strings.Contains(found.Error(), want) {
			t.Errorf("Parse reported\n%s\nwant a line with\n%s", found.Error(), want)
		}
	}
	_, found = module.Parse([]module.Source{{Name: "m.yaml", Data: []byte(doc)}}, module.Options{Strict: true})
	if len(found.Errors()) != 6 {
		t.Errorf("strictly, Parse reported\n%s\nwant 6 errors", found.Error())
	}
}

func TestAllProblemsOfAllFilesAreReportedInOrder(t *testing.T) {
	t.Parallel()
	_, found := module.Parse([]module.Source{
		{Name: "b.yaml", Data: []byte(endpoint("  maxConcurrentRequests: x\n  protocol: v9\n"))},
		{Name: "a.yaml", Data: []byte("kind: nope\nspec: {}\n---\n" + endpoint(""))},
	}, module.Options{})
	var got []string
	for _, d := range found {
		got = append(got, d.File+" "+d.Key)
	}
	want := []string{"b.yaml spec.maxConcurrentRequests", "b.yaml spec.protocol", "a.yaml kind", "a.yaml spec.functions"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestUnknownKeysOfStateFunsKindsAreErrorsWhenStrict(t *testing.T) {
	t.Parallel()
	doc := module.Source{Name: "m.yaml", Data: []byte(endpoint("  tiemouts: 1\n"))}
	if _, found := module.Parse([]module.Source{doc}, module.Options{}); len(found.Errors()) != 0 || len(found.Warnings()) != 1 {
		t.Errorf("lenient: %v, want one warning", found)
	}
	if _, found := module.Parse([]module.Source{doc}, module.Options{Strict: true}); len(found.Errors()) != 1 {
		t.Errorf("strict: %v, want one error", found)
	}
}

func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, []byte(endpoint("")), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.yaml")
	m, found := module.Load([]string{missing, good}, module.Options{})
	want := missing + ": error: can't be read: no such file or directory"
	if got := found.Error(); got != want {
		t.Errorf("Load = %q, want %q", got, want)
	}
	if len(m.Endpoints) != 1 {
		t.Errorf("Load read %d endpoints of the other file, want 1", len(m.Endpoints))
	}
}

func TestVariablesInQuotesStayText(t *testing.T) {
	t.Parallel()
	opts := module.Options{Lookup: variables(map[string]string{"N": "5", "EMPTY": ""})}
	for value, wantErrors := range map[string]int{"${N}": 0, `"${N}"`: 1, "${EMPTY:-7}": 0, "1${N}": 0, "x${N}": 1} {
		_, found := module.Parse([]module.Source{{Name: "m", Data: []byte(endpoint("  maxConcurrentRequests: " + value + "\n"))}}, opts)
		if got := len(found.Errors()); got != wantErrors {
			t.Errorf("maxConcurrentRequests: %s gives %v, want %d errors", value, found, wantErrors)
		}
	}
}

func TestADoubledDollarStandsForItself(t *testing.T) {
	t.Parallel()
	m, found := parse("kind: io.statefun.playground.v1/egress\nspec: {port: 1, topics: [\"$${a}\"]}\n")
	want := []module.PlaygroundEgress{{Port: 1, Topics: []string{"${a}"}}}
	if diff := cmp.Diff(want, m.PlaygroundEgresses, cmpopts.IgnoreTypes(module.Pos{})); diff != "" || len(found) > 0 {
		t.Errorf("a doubled dollar (-want +got):\n%s%v", diff, found)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add(endpoint("  transport: &a {timeouts: *a}\n"))
	f.Add("version: 1\n---\n<<: *x\n")
	f.Fuzz(func(t *testing.T, s string) {
		m, found := parse(s)
		for _, d := range found {
			if d.Message == "" || d.File != "m.yaml" {
				t.Errorf("Parse(%q) reported %+v, want a message and the file", s, d)
			}
		}
		if len(found.Errors()) > 0 {
			return
		}
		for _, e := range m.Endpoints {
			if e.Functions.Namespace == "" || e.URLTemplate == "" || e.Transport.Call <= 0 {
				t.Errorf("Parse(%q) accepted the endpoint %+v", s, e)
			}
		}
		for _, in := range m.Ingresses {
			if in.ID.IsZero() || len(in.Targets) == 0 {
				t.Errorf("Parse(%q) accepted the ingress %+v", s, in)
			}
		}
		for _, e := range m.Egresses {
			if e.ID.Namespace == "" {
				t.Errorf("Parse(%q) accepted the egress %+v", s, e)
			}
		}
	})
}

// endpoint is a document whose spec has more keys, beginning on line 5.
func endpoint(more string) string {
	return "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: a/b\n  urlPathTemplate: http://h/\n" + more
}

func parse(s string) (*module.Module, module.Diagnostics) {
	return module.Parse([]module.Source{{Name: "m.yaml", Data: []byte(s)}}, module.Options{Lookup: variables(nil)})
}

func variables(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}
