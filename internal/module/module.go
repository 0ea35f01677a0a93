package module

import (
	"fmt"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/cron"
)

// Module is what all the files of an application say together.
type Module struct {
	Endpoints           []Endpoint
	Routers             []Router
	Ingresses           []Ingress
	Egresses            []Egress
	KafkaIngresses      []KafkaIngress
	KafkaEgresses       []KafkaEgress
	KinesisIngresses    []KinesisIngress
	KinesisEgresses     []KinesisEgress
	CronIngresses       []CronIngress
	PlaygroundIngresses []PlaygroundIngress
	PlaygroundEgresses  []PlaygroundEgress
}

// Summary counts what there is, such as "2 endpoints, 1 ingress".
func (m *Module) Summary() string {
	var parts []string
	for _, p := range []struct {
		n         int
		one, many string
	}{
		{len(m.Endpoints), "endpoint", "endpoints"},
		{len(m.Routers), "router", "routers"},
		{len(m.Ingresses) + len(m.KafkaIngresses) + len(m.KinesisIngresses) + len(m.PlaygroundIngresses), "ingress", "ingresses"},
		{len(m.Egresses) + len(m.KafkaEgresses) + len(m.KinesisEgresses) + len(m.PlaygroundEgresses), "egress", "egresses"},
	} {
		switch p.n {
		case 0:
		case 1:
			parts = append(parts, "1 "+p.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.many))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// Pos is where something stands in a file. Lines and columns count from 1;
// a Line of zero means the file as a whole.
type Pos struct {
	File         string
	Line, Column int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Pattern names one function type or egress, "ns/name", or all of a
// namespace, "ns/*".
type Pattern struct {
	Namespace string
	Name      string // empty: the whole namespace
}

// Exact returns the type name that p stands for, unless p is a namespace.
func (p Pattern) Exact() (actor.TypeName, bool) {
	return actor.TypeName{Namespace: p.Namespace, Name: p.Name}, p.Name != ""
}

// Matches reports whether p covers t.
func (p Pattern) Matches(t actor.TypeName) bool {
	return p.Namespace == t.Namespace && (p.Name == "" || p.Name == t.Name)
}

func (p Pattern) String() string {
	if p.Name == "" {
		return p.Namespace + "/*"
	}
	return p.Namespace + "/" + p.Name
}

// TransportKind is the HTTP client that StateFun would have used; the two
// differ in their defaults.
type TransportKind uint8

const (
	// TransportAsync is io.statefun.transports.v1/async, the default.
	TransportAsync TransportKind = iota
	// TransportOkHTTP is io.statefun.transports.v1/okhttp.
	TransportOkHTTP
)

// Endpoint is where functions are, its defaults filled in. All formats have
// it: as io.statefun.endpoints.v2/http and v1/http, and as functions and
// endpoints of the formats with a version.
type Endpoint struct {
	Pos         Pos
	Functions   Pattern
	URLTemplate string // may contain {function.name}
	MaxBatch    int    // messages per call; zero or less means no limit
	// MaxConcurrent caps the calls in flight per URL; zero means no cap.
	MaxConcurrent int
	// Weight is its share of the addresses of its functions; nil: it has all.
	Weight    *int
	Header    []HeaderField // of calls, by name
	Protocol  Protocol
	States    []State // of protocol v2 only: functions of v3 declare theirs themselves
	Transport Transport
	Failure   Failure
}

// Protocol is the version of the remote function protocol that an endpoint
// speaks.
type Protocol uint8

const (
	// ProtocolV3 is that of StateFun 3.0 and later, the default.
	ProtocolV3 Protocol = iota
	// ProtocolV2 is that of StateFun 2.0 to 2.2.
	ProtocolV2
)

func (p Protocol) String() string {
	if p == ProtocolV2 {
		return "v2"
	}
	return "v3"
}

// State is a state that the module declares for a function of protocol v2.
type State struct {
	Name        string
	ExpireAfter time.Duration // zero: it never expires
	ExpireMode  ExpireMode
}

// ExpireMode says from what on ExpireAfter counts.
type ExpireMode uint8

const (
	// ExpireAfterInvoke counts from the last call of the address, the default.
	ExpireAfterInvoke ExpireMode = iota
	// ExpireAfterWrite counts from the last write of the value.
	ExpireAfterWrite
)

// Transport says how an endpoint is called.
type Transport struct {
	Kind     TransportKind
	Call     time.Duration // the whole call
	Connect  time.Duration
	Read     time.Duration // zero: no limit of its own
	Write    time.Duration // zero: no limit of its own
	PoolSize int
	PoolTTL  time.Duration // zero: connections aren't kept
	MaxBytes int           // of a request or a reply
	TLS      TLS
}

// TLS says what an endpoint's certificates are checked by, and what the
// worker shows of itself. Its fields are paths of files, those that the
// module gives relative to itself made complete; empty means none.
type TLS struct {
	TrustCACerts      string // PEM; empty: the system's
	ClientCert        string // PEM
	ClientKey         string // PEM, PKCS #8
	ClientKeyPassword string // the file that holds it
}

// Failure says how long a failing call is retried before its messages become
// dead letters.
type Failure struct {
	Attempts   int           // zero: the default
	Budget     time.Duration // the transport's call time where the key is absent
	BackoffMin time.Duration // zero: the default
	BackoffMax time.Duration // zero: the default
	Final      []int         // HTTP statuses that aren't retried
	Then       Then
}

// Then is what follows when a call has failed for good.
type Then uint8

const (
	// ThenDeadLetter makes its messages dead letters, the default.
	ThenDeadLetter Then = iota
	// ThenPauseAddress keeps them, and calls the address no more.
	ThenPauseAddress
	// ThenPauseFunction keeps them, and calls the function no more.
	ThenPauseFunction
)

// Ingress is a document of kind io.jetfn.nats.v1/ingress.
type Ingress struct {
	Pos       Pos
	ID        actor.TypeName
	ValueType string // empty: as the message says
	Targets   []actor.TypeName

	// Stream is an existing stream that is read instead of the application's
	// own; empty: none. The last token of a message's subject is its key.
	Stream   string
	Subject  string // filter in Stream; empty: all
	Consumer string // durable consumer whose filter and position are taken over once; empty: none

	// Routers send its records on besides, by their contents.
	Routers []Router
}

// CronIngress is a document of kind io.jetfn.cron.v1/ingress.
type CronIngress struct {
	cron.Ingress

	Pos Pos
}

// Egress is a document of kind io.jetfn.nats.v1/egress.
type Egress struct {
	Pos     Pos
	ID      Pattern
	Subject string // another prefix of its subjects; empty: <app>.egress.<ns>.<name>
}

// PlaygroundIngress is a document of kind io.statefun.playground.v1/ingress.
type PlaygroundIngress struct {
	Pos  Pos
	Port int
}

// PlaygroundEgress is a document of kind io.statefun.playground.v1/egress.
type PlaygroundEgress struct {
	Pos    Pos
	Port   int
	Topics []string
}
