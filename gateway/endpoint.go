package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
)

// defaultMaxPayloadBytes is the largest answer that upstream takes.
const defaultMaxPayloadBytes = 32 << 20

// EndpointConfig says where functions are and how they are called. Zero
// fields but URLTemplate mean the defaults.
type EndpointConfig struct {
	// URLTemplate is the URL with {function.name} in the place of the
	// function type's name. Credentials in it are sent as basic
	// authentication. http+unix and https+unix are functions at Unix sockets,
	// nats functions that are NATS services, with a subject for a host.
	URLTemplate string
	Transport   Transport
	// Services makes the calls to nats URLs, and is needed for them only.
	Services http.RoundTripper
	// Protocol is what the functions speak. The default is Protocol3.
	Protocol Protocol
	// States are those of each function, with Protocol2 only: functions of
	// Protocol3 declare theirs themselves.
	States []StateSpec
	// Header is sent with each call.
	Header http.Header
	// MaxPayloadBytes limits the body of a call, and that of an answer,
	// decompressed. The default is 32 MiB.
	MaxPayloadBytes int64
	Log             zerolog.Logger
}

// Endpoint is a server of functions that are called over HTTP. It is used by
// many goroutines at once.
type Endpoint struct {
	template   urlTemplate
	transport  Transport
	maxPayload int64
	codec      codec
	declared   []stateSpec // nil: functions declare theirs themselves
	client     *http.Client
	plain      *direct // client's for plain HTTP; nil: there is none
	header     http.Header
	log        zerolog.Logger
	aloneFor   time.Duration // see registration

	opened, reused atomic.Uint64

	mu            sync.Mutex
	registrations map[actor.TypeName]*registration
}

// NewEndpoint returns an endpoint. It connects to nothing yet.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	template, err := parseURLTemplate(cfg.URLTemplate)
	if err != nil {
		return nil, err
	}
	transport, err := cfg.Transport.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.MaxPayloadBytes == 0 {
		cfg.MaxPayloadBytes = defaultMaxPayloadBytes
	}
	client, plain, err := template.client(&cfg, transport)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", template.name, err)
	}
	e := &Endpoint{
		template:      template,
		transport:     transport,
		maxPayload:    cfg.MaxPayloadBytes,
		codec:         codec3{&texts{}},
		client:        client,
		plain:         plain,
		header:        cfg.Header.Clone(),
		log:           cfg.Log.With().Str("endpoint", template.name).Logger(),
		registrations: map[actor.TypeName]*registration{},
		aloneFor:      defaultAloneFor,
	}
	switch {
	case cfg.Protocol == Protocol2:
		e.codec, e.declared = codec2{}, declared(cfg.States)
	case len(cfg.States) > 0:
		return nil, fmt.Errorf("endpoint %s: functions of protocol 3.x declare their states themselves", template.name)
	}
	return e, nil
}

// Name is the URL template without credentials, query and fragment. Limits
// and circuit breakers count by it, and logs show it.
func (e *Endpoint) Name() string { return e.template.name }

// EndpointStats counts since the endpoint was made.
type EndpointStats struct {
	ConnectionsOpened uint64
	ConnectionsReused uint64 // calls that found an idle connection
}

// Stats returns a snapshot.
func (e *Endpoint) Stats() EndpointStats {
	return EndpointStats{ConnectionsOpened: e.opened.Load(), ConnectionsReused: e.reused.Load()}
}

// Close closes the idle connections. Calls in flight end by their contexts.
func (e *Endpoint) Close() { e.client.CloseIdleConnections() }

// Function returns the function of type t at this endpoint. What one learns
// about the states of t, all others of the same type know.
func (e *Endpoint) Function(t actor.TypeName) actor.Function {
	target, name := e.template.resolve(t)
	request := e.request(target)
	return &remote{endpoint: e, request: request, head: e.head(request), name: name, states: e.registrationOf(t)}
}

// DeclaredType is the type that the function t declared for a state; empty if
// it has not, as far as is known.
func (e *Endpoint) DeclaredType(t actor.TypeName, state string) string {
	e.mu.Lock()
	r := e.registrations[t]
	e.mu.Unlock()
	if r == nil {
		return ""
	}
	spec, _ := findSpec(r.known(), state)
	return spec.typename
}

func (e *Endpoint) registrationOf(t actor.TypeName) *registration {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.registrations[t]
	if r == nil {
		r = newRegistration(e.declared, e.aloneFor)
		e.registrations[t] = r
	}
	return r
}

// urlTemplate is a URL with the place of the function's name.
type urlTemplate struct {
	full    string // with credentials: never shown
	name    string
	socket  bool // functions are at Unix sockets
	service bool // functions are NATS services
}

// client is what makes the calls, and its part for plain HTTP, if it has one.
func (t urlTemplate) client(cfg *EndpointConfig, transport Transport) (*http.Client, *direct, error) {
	switch {
	case !t.service:
		return transport.client(t.socket)
	case cfg.Services == nil:
		return nil, nil, errors.New("there is no NATS connection for its calls")
	}
	return &http.Client{Transport: cfg.Services}, nil, nil
}

const (
	functionName = "{function.name}"
	// nameStandIn takes the place of functionName where a URL may not have
	// braces.
	nameStandIn = "function-name-stand-in"
)

// parseURLTemplate checks a template. Its errors don't show credentials.
func parseURLTemplate(s string) (urlTemplate, error) {
	if subject, ok := strings.CutPrefix(s, serviceScheme); ok {
		if err := checkSubject(strings.ReplaceAll(subject, functionName, nameStandIn)); err != nil {
			return urlTemplate{}, fmt.Errorf("URL template %s: %w", s, err)
		}
		return urlTemplate{full: s, name: s, service: true}, nil
	}
	u, err := url.Parse(strings.ReplaceAll(s, functionName, nameStandIn))
	if err != nil {
		var parsing *url.Error
		if errors.As(err, &parsing) {
			err = parsing.Err // without the URL
		}
		return urlTemplate{}, fmt.Errorf("URL template: %w", err)
	}
	shown := *u
	shown.User, shown.RawQuery, shown.ForceQuery, shown.Fragment, shown.RawFragment = nil, "", false, "", ""
	name := strings.ReplaceAll(shown.String(), nameStandIn, functionName)
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return urlTemplate{}, fmt.Errorf("URL template %s has no host", name)
		}
	case "http+unix", "https+unix":
		if _, err := atSocket(u); err != nil {
			return urlTemplate{}, fmt.Errorf("URL template %s %w", name, err)
		}
	default:
		return urlTemplate{}, fmt.Errorf("URL template %s: scheme %q can't be called, use http, https, http+unix, https+unix or nats", name, u.Scheme)
	}
	if strings.ContainsAny(u.Path, "{}") {
		return urlTemplate{}, fmt.Errorf("URL template %s: %s is the only placeholder", name, functionName)
	}
	return urlTemplate{full: s, name: name, socket: isSocket(u.Scheme)}, nil
}

// resolve returns the URL for t, and what of it may be shown.
func (t urlTemplate) resolve(typ actor.TypeName) (full, shown string) {
	if t.service {
		full = strings.ReplaceAll(t.full, functionName, actor.Escape(typ.Name))
		return full, full
	}
	part := url.PathEscape(typ.Name)
	full, shown = strings.ReplaceAll(t.full, functionName, part), strings.ReplaceAll(t.name, functionName, part)
	if !t.socket {
		return full, shown
	}
	if u, err := url.Parse(full); err == nil {
		if at, err := atSocket(u); err == nil {
			full = at.String()
		}
	}
	return full, shown
}
