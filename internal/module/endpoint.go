package module

import (
	"math"
	"net/url"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

const functionName = "{function.name}"

// placeholder is anything in braces.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func endpointV2(l *loader, d declared) mapping {
	e := &Endpoint{Pos: d.pos}
	return l.endpoint(e, defaults("transport", transport(&e.Transport), "`type: "+transportAsync+"`", "How the URL is called."))
}

func endpointV1(l *loader, d declared) mapping {
	e := &Endpoint{Pos: d.pos}
	e.Transport = okHTTPDefaults()
	return l.endpoint(e, optional("timeouts", timeouts(&e.Transport), "Time limits."))
}

// endpoint is an endpoint of StateFun 3.x with one key of its version.
func (l *loader) endpoint(e *Endpoint, own key) mapping {
	keys := []key{
		required("functions", l.functions(&e.Functions), "One function type, `ns/name`, or a namespace, `ns/*`. An exact type goes before a namespace."),
		required("urlPathTemplate", urlTemplate(&e.URLTemplate), "The URL; `{function.name}` is replaced by the type's name. "+
			"`http`, `https`, `http+unix:///path/to/file.sock/path`, or `nats://subject` for a service on NATS; one token alone is its prefix, as in `nats://jetfn-functions`."),
		optional("maxNumBatchRequests", maxBatch(e), "Messages in one call; 0 or less: no limit."),
		own,
	}
	keys = append(keys, extras(e, protocolV3)...)
	keys = append(keys, optional("states", l.states(&e.States), "The states of the function, for protocol `v2` only: functions of `v3` declare theirs themselves."))
	return mapping{keys: keys, finish: func(o *object) {
		l.addEndpoint(o, e, o.place("functions"), o.at("functions"))
	}}
}

const defaultMaxBatch = 1000

func maxBatch(e *Endpoint) value {
	return integer(&e.MaxBatch, defaultMaxBatch, math.MinInt32)
}

const (
	protocolV2 = "v2"
	protocolV3 = "v3"
)

// extras are jetfn's own keys of endpoints.
func extras(e *Endpoint, protocol string) []key {
	return []key{
		optional("maxConcurrentRequests", integer(&e.MaxConcurrent, 0, 0),
			"Calls in flight to this URL; 0: no limit. If several endpoints have the URL, the smallest limit counts. StateFun doesn't know the key."),
		optional("failure", failure(&e.Failure), "What to do about calls that fail. StateFun doesn't know the key."),
		optional("weight", weight{&e.Weight},
			"This version's share of the addresses of its functions, if several endpoints have them: each of these needs a weight. An address stays with its version as long as the weights do. StateFun doesn't know the key."),
		optional("header", headerFields{&e.Header},
			"Headers of the calls, such as `Jetfn-Version: v2` for a proxy that tells versions apart by it. StateFun doesn't know the key."),
		optional("protocol", choice(&e.Protocol, protocol, word[Protocol]{protocolV3, ProtocolV3}, word[Protocol]{protocolV2, ProtocolV2}),
			"The remote function protocol: `v3` for SDKs of StateFun 3.x, `v2` for those of 2.x. StateFun doesn't know the key."),
	}
}

// addEndpoint takes an endpoint in, after a look at what its keys say
// together. n is where its functions are named.
func (l *loader) addEndpoint(o *object, e *Endpoint, n *yaml.Node, path string) {
	e.URLTemplate = serviceURL(e.URLTemplate, e.Functions.Namespace)
	if e.Functions.Namespace != "" {
		l.endpoints[e.Functions] = append(l.endpoints[e.Functions], placedEndpoint{endpoint: e, path: path, pos: l.pos(n)})
	}
	if states := o.value("states"); states != nil && e.Protocol == ProtocolV3 {
		l.errorf(states, o.at("states"), "functions of protocol v3 declare their states themselves; remove the key, or say protocol: v2",
			"states belong to protocol v2")
	}
	if e.Failure.Budget == 0 {
		e.Failure.Budget = e.Transport.Call
	}
	if l.advise && e.Protocol == ProtocolV2 && o.value("maxConcurrentRequests") == nil && !l.advised[e.URLTemplate] {
		l.advised[e.URLTemplate] = true
		l.report(Warning, o.node, o.path, "use 2.2.1 or later of it, or say maxConcurrentRequests: 1; 0 says that they are made otherwise",
			"functions of protocol v2 without maxConcurrentRequests: the Python SDK 2.2.0 mixes up requests that it gets at the same time, and effects are lost")
	}
	l.module.Endpoints = append(l.module.Endpoints, *e)
}

func urlTemplate(into *string) value {
	return scalar[string]{
		into: into, form: Schema{Type: typeText, Pattern: `^(http|https|http\+unix|https\+unix|nats):|\$\{`},
		parse: func(l *loader, n *yaml.Node, path string) (string, bool) {
			s := l.text(n, path)
			return s, s != "" && l.checkURL(n, path, s)
		},
	}
}

func (l *loader) checkURL(n *yaml.Node, path, template string) bool {
	const example = "such as http://localhost:8000/statefun"
	plain := strings.ReplaceAll(template, functionName, "x")
	if other := placeholder.FindString(plain); other != "" {
		l.errorf(n, path, "", "%s is no placeholder, the only one is %s", other, functionName)
		return false
	}
	if subject, ok := strings.CutPrefix(plain, natsScheme); ok {
		return l.checkSubject(n, path, subject)
	}
	u, err := url.Parse(plain)
	if err != nil {
		l.errorf(n, path, "", "must be a URL, %s", example)
		return false
	}
	l.concealIn(n.Line, u)
	shown := template
	if u.User != nil {
		shown = u.Redacted()
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			l.errorf(n, path, example, "%q names no host", shown)
			return false
		}
	case "http+unix", "https+unix":
		socket := u.Host + u.Path
		if !strings.HasSuffix(socket, ".sock") && !strings.Contains(socket, ".sock/") {
			l.errorf(n, path, "such as http+unix:///run/fn.sock/statefun", "%q names no socket: a path that ends in .sock", shown)
			return false
		}
	default:
		l.errorf(n, path, example, "%q must begin with http://, https:// or nats://", shown)
		return false
	}
	return true
}

// states are those of a function of protocol v2.
func (*loader) states(into *[]State) value {
	return list[State]{
		into: into, name: nameOfState,
		item: func(s *State) value {
			return mapping{
				keys: []key{
					required("name", text(&s.Name), "What the function calls it."),
					optional("expireAfter", positive(&s.ExpireAfter, 0), "How long the value lives; absent: for ever."),
					optional("expireMode", choice(&s.ExpireMode, "after-invoke",
						word[ExpireMode]{"after-invoke", ExpireAfterInvoke}, word[ExpireMode]{"after-write", ExpireAfterWrite}),
						"Since when: the last call of the address, or the last write of the value."),
				},
			}
		},
	}
}

func nameOfState(s State) string { return "state " + s.Name }

// failure is the key failure.
func failure(f *Failure) value {
	return mapping{
		keys: []key{
			defaults("attempts", integer(&f.Attempts, 0, 1), "10", "Answered attempts until a message is given up."),
			defaults("budget", positive(&f.Budget, 0), "as `call`", "Time from the first attempt until a message is given up."),
			optional("backoff", mapping{
				keys: []key{
					defaults("min", positive(&f.BackoffMin, 0), "10ms", "The first pause between attempts; it doubles, with jitter."),
					defaults("max", positive(&f.BackoffMax, 0), "10s", "The longest one."),
				},
				finish: func(o *object) {
					least, most := f.BackoffMin, f.BackoffMax
					if least == 0 {
						least = 10 * time.Millisecond
					}
					if most == 0 {
						most = max(10*time.Second, least)
					}
					if least > most {
						o.load.errorf(o.node, o.path, "", "min is longer than max")
					}
				},
			}, "Pauses between attempts."),
			optional("final", list[int]{into: &f.Final, item: func(i *int) value { return number(i, 300, 599) }},
				"HTTP statuses that are not retried, besides those that never are."),
			optional("then", choice(&f.Then, "deadLetter",
				word[Then]{"deadLetter", ThenDeadLetter}, word[Then]{"pauseAddress", ThenPauseAddress}, word[Then]{"pauseFunction", ThenPauseFunction}),
				"What follows when a message is given up."),
		},
	}
}
