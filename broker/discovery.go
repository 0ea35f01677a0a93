package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/jetfn/jetfn/actor"
)

// How services of functions say what they have: see package sdknats.
const (
	announceSubject = "jetfn-functions.announce"
	infoSubject     = "$SRV.INFO"
	functionsKey    = "jetfn.functions"
	prefixKey       = "jetfn.prefix"
)

const (
	// infoSilence is how long nobody has answered when all have.
	infoSilence = 250 * time.Millisecond
	infoLimit   = 2 * time.Second
	// maxFound bounds the function types that services can make known.
	maxFound = 1000
)

// ErrNotAllowed means that the connection may not do what is asked for.
var ErrNotAllowed = errors.New("not allowed")

// FoundFunction is a function type, or with the name "*" a namespace of them,
// that a service has announced.
type FoundFunction struct {
	Type   actor.TypeName
	Prefix string // of its subjects
	SeenAt time.Time
}

// Callable reports whether calls of functions may go to a subject: neither
// the application's own nor NATS' are for that.
func (a *App) Callable(subject string) bool {
	first, _, more := strings.Cut(subject, ".")
	return more && first != a.names.app && first != "_INBOX" && !strings.HasPrefix(first, "$") && !strings.ContainsAny(subject, " *>")
}

// FindFunctions asks all services of NATS which functions they have. Of a type
// with several prefixes it returns all.
func (a *App) FindFunctions(ctx context.Context) ([]FoundFunction, error) {
	inbox := a.nc.NewInbox()
	sub, err := a.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("look for services: %w", err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails only when the connection is closed
	if err := a.nc.PublishRequest(infoSubject, inbox, nil); err != nil {
		return nil, fmt.Errorf("look for services: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, infoLimit)
	defer cancel()
	var out []FoundFunction
	for {
		m, err := next(ctx, sub)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			if len(out) == 0 && a.forbids(infoSubject) {
				return nil, fmt.Errorf("look for services: %w: publish to %s", ErrNotAllowed, infoSubject)
			}
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("look for services: %w", err)
		case len(m.Data) == 0: // nobody is there
			return out, nil
		}
		if out = a.announced(out, m.Data); len(out) >= maxFound {
			return out[:maxFound], nil
		}
	}
}

// next is the next answer, or context.DeadlineExceeded.
func next(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	quiet, cancel := context.WithTimeout(ctx, infoSilence)
	defer cancel()
	return sub.NextMsgWithContext(quiet) //nolint:wrapcheck // its caller does
}

func (a *App) forbids(subject string) bool {
	last := a.nc.LastError()
	return errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), subject)
}

// announced adds the functions of a service, leaving out what can't be.
func (a *App) announced(out []FoundFunction, info []byte) []FoundFunction {
	service := micro.Info{}
	if json.Unmarshal(info, &service) != nil || service.Metadata[functionsKey] == "" {
		return out
	}
	for text := range strings.SplitSeq(service.Metadata[functionsKey], ",") {
		t, err := actor.ParseTypeName(text)
		prefix := service.Metadata[prefixKey]
		if err != nil || t.Namespace == actor.OwnNamespace || !a.Callable(prefix+".x") || !plainSubject(prefix) {
			a.cfg.Log.Debug().Str("service", service.Name).Str("function", text).Str("prefix", prefix).Msg("announced function can't be, passed over")
			continue
		}
		if !slices.ContainsFunc(out, func(f FoundFunction) bool { return f.Type == t && f.Prefix == prefix }) {
			out = append(out, FoundFunction{Type: t, Prefix: prefix, SeenAt: time.Now()})
		}
	}
	return out
}

// plainSubject reports whether s is tokens of letters, digits, - _ and =.
func plainSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsFunc(token, func(r rune) bool {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
			return !letter && r != '-' && r != '_' && r != '='
		}) {
			return false
		}
	}
	return true
}

// HearAnnouncements sends to changed, unless it is full, whenever a service
// of functions begins or ends, until stop is called.
func (a *App) HearAnnouncements(changed chan<- struct{}) (stop func(), err error) {
	sub, err := a.nc.Subscribe(announceSubject, func(*nats.Msg) {
		select {
		case changed <- struct{}{}:
		default: // it is known
		}
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", announceSubject, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// foundRecord is the value of a function's key in the meta bucket.
type foundRecord struct {
	Prefix string `json:"prefix"`
	SeenAt string `json:"seenAt"`
}

// Remember notes durably that a function was announced, so that its messages
// wait for it after a restart, too.
func (a *App) Remember(ctx context.Context, f FoundFunction) error {
	value, err := json.Marshal(foundRecord{Prefix: f.Prefix, SeenAt: f.SeenAt.UTC().Format(time.RFC3339)})
	if err == nil {
		_, err = a.streams.metaKV.Put(ctx, foundKey(f.Type), value)
	}
	if err != nil {
		return fmt.Errorf("remember function %s: %w", f.Type, err)
	}
	return nil
}

// Forget removes what Remember noted.
func (a *App) Forget(ctx context.Context, t actor.TypeName) error {
	if err := a.streams.metaKV.Delete(ctx, foundKey(t)); err != nil {
		return fmt.Errorf("forget function %s: %w", t, err)
	}
	return nil
}

// Remembered are the functions that were announced at any time.
func (a *App) Remembered(ctx context.Context) ([]FoundFunction, error) {
	prefix := bucketSubject(a.names.metaBucket())
	info, err := a.streams.meta.Info(ctx, jetstream.WithSubjectFilter(prefix+foundPrefix+">"))
	if err != nil {
		return nil, fmt.Errorf("read which functions were announced: %w", err)
	}
	var out []FoundFunction
	for subject := range info.State.Subjects {
		m, err := a.streams.meta.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read which functions were announced: %w", err)
		}
		record := foundRecord{}
		t, ok := parseFoundKey(strings.TrimPrefix(subject, prefix))
		if !ok || m.Header.Get(headerOperation) != "" || json.Unmarshal(m.Data, &record) != nil || !a.Callable(record.Prefix+".x") || !plainSubject(record.Prefix) {
			continue
		}
		seen, err := time.Parse(time.RFC3339, record.SeenAt)
		if err != nil {
			seen = m.Time
		}
		out = append(out, FoundFunction{Type: t, Prefix: record.Prefix, SeenAt: seen})
	}
	return out, nil
}
