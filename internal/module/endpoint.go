package module

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

const functionName = "{function.name}"

// placeholder is anything in braces.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func (l *loader) endpoint(spec *object, pos Pos) {
	e := Endpoint{Pos: pos}
	if n := spec.require("functions"); n != nil {
		if p, ok := l.pattern(n, "spec.functions"); ok {
			e.Functions = p
			l.once(n, "spec.functions", "function "+p.String())
		}
	}
	e.MaxBatch = spec.integer("maxNumBatchRequests", 1000, math.MinInt32, math.MaxInt32)
	e.MaxConcurrent = spec.integer("maxConcurrentRequests", 0, 0, math.MaxInt32)
	e.Transport = l.transport(spec)
	if n := spec.require("urlPathTemplate"); n != nil {
		e.URLTemplate = l.text(n, "spec.urlPathTemplate")
		if e.URLTemplate != "" {
			l.checkURL(n, e.URLTemplate)
		}
	}
	l.protocol(spec, &e)
	e.Failure = l.failure(spec, e.Transport.Call)
	l.module.Endpoints = append(l.module.Endpoints, e)
}

func (l *loader) checkURL(n *yaml.Node, template string) {
	const key = "spec.urlPathTemplate"
	plain := strings.ReplaceAll(template, functionName, "x")
	if other := placeholder.FindString(plain); other != "" {
		l.errorf(n, key, "", "%s is no placeholder, the only one is %s", other, functionName)
		return
	}
	u, err := url.Parse(plain)
	if err != nil {
		l.errorf(n, key, "", "%q is no URL", template)
		return
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			l.errorf(n, key, "such as http://localhost:8000/statefun", "%q names no host", template)
		}
	case "http+unix", "https+unix":
		if !strings.HasSuffix(u.Path, ".sock") && !strings.Contains(u.Path, ".sock/") {
			l.errorf(n, key, "such as http+unix:///run/fn.sock/statefun", "%q names no socket: a path that ends in .sock", template)
		}
	default:
		l.errorf(n, key, "such as http://localhost:8000/statefun", "%q must begin with http:// or https://", template)
	}
}

func (l *loader) protocol(spec *object, e *Endpoint) {
	if n := spec.value("protocol"); n != nil {
		switch p := l.text(n, "spec.protocol"); p {
		case "", "v3":
		case "v2":
			e.Protocol = ProtocolV2
		default:
			l.errorf(n, "spec.protocol", "", "must be v3 or v2, is %q", p)
		}
	}
	n := spec.value("states")
	if n != nil && e.Protocol == ProtocolV3 {
		l.errorf(n, "spec.states", "functions of protocol v3 declare their states themselves; remove the key, or say protocol: v2",
			"states belong to protocol v2")
	}
	for i, item := range spec.list("states") {
		l.state(spec, item, fmt.Sprintf("spec.states[%d]", i), e)
	}
}

func (l *loader) state(spec *object, item *yaml.Node, path string, e *Endpoint) {
	o, ok := l.object(item, path, spec.lenient)
	if !ok {
		return
	}
	defer o.done()
	s := State{Name: o.text("name")}
	if n := o.require("name"); n != nil && slices.ContainsFunc(e.States, func(x State) bool { return x.Name == s.Name }) {
		l.errorf(n, path+".name", "", "state %q is declared twice", s.Name)
	}
	s.ExpireAfter = l.positive(o, "expireAfter", 0)
	if n := o.value("expireMode"); n != nil {
		switch mode := l.text(n, path+".expireMode"); mode {
		case "", "after-invoke":
		case "after-write":
			s.ExpireMode = ExpireAfterWrite
		default:
			l.errorf(n, path+".expireMode", "", "must be after-invoke or after-write, is %q", mode)
		}
	}
	e.States = append(e.States, s)
}

func (l *loader) failure(spec *object, call time.Duration) Failure {
	f := Failure{Budget: call}
	o, ok := spec.child("failure")
	if !ok {
		return f
	}
	defer o.done()
	f.Attempts = o.integer("attempts", 0, 1, math.MaxInt32)
	f.Budget = l.positive(o, "budget", call)
	if b, ok := o.child("backoff"); ok {
		f.BackoffMin, f.BackoffMax = l.backoff(b)
		b.done()
	}
	for i, n := range o.list("final") {
		key := fmt.Sprintf("%s.final[%d]", o.path, i)
		status := l.integer(n, key, 0, 300, 599)
		if status != 0 && !slices.Contains(f.Final, status) {
			f.Final = append(f.Final, status)
		}
	}
	if n := o.value("then"); n != nil {
		switch then := l.text(n, "spec.failure.then"); then {
		case "", "deadLetter":
		case "pauseAddress":
			f.Then = ThenPauseAddress
		case "pauseFunction":
			f.Then = ThenPauseFunction
		default:
			l.errorf(n, "spec.failure.then", "", "must be deadLetter, pauseAddress or pauseFunction, is %q", then)
		}
	}
	return f
}

// backoff reads backoff {min, max}.
func (l *loader) backoff(o *object) (least, most time.Duration) {
	if o.value("min") != nil {
		least = l.positive(o, "min", 0)
	}
	if o.value("max") != nil {
		most = l.positive(o, "max", 0)
	}
	if most != 0 && least > most {
		l.errorf(o.node, o.path, "", "min is longer than max")
	}
	return least, most
}
