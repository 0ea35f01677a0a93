package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

const foreignLookLimit = 5 * time.Second

// foreignRecord says, for ever, which stream an ingress reads and where it
// began. It is written when the ingress is opened for the first time.
type foreignRecord struct {
	Stream   string    `json:"stream"`
	Created  time.Time `json:"created"` // of the stream: another one has other positions
	Start    uint64    `json:"start"`
	Consumer string    `json:"consumer,omitempty"` // that Start and Filters were taken from
	Filters  []string  `json:"filters,omitempty"`
}

// OpenForeign checks that the ingress can be read as it is asked for. Its
// errors are for the module's author.
func (a *App) OpenForeign(ctx context.Context, cfg ForeignConfig) (*Foreign, error) {
	info, err := a.foreignStream(ctx, cfg.Stream)
	if errors.Is(err, errNoForeignStream) {
		return nil, fmt.Errorf("there is no stream %q; create it, or repair the name", cfg.Stream)
	}
	if err != nil {
		return nil, fmt.Errorf("look stream %q up: %w", cfg.Stream, err)
	}
	if err := a.checkForeign(&info.Config, cfg.Subject); err != nil {
		return nil, err
	}
	record, err := a.foreignRecord(ctx, &cfg, info)
	if err != nil {
		return nil, err
	}
	if err := record.same(info); err != nil {
		return nil, err
	}
	return &Foreign{app: a, cfg: cfg, record: record}, nil
}

// checkForeign refuses streams that can't be read for good.
func (a *App) checkForeign(cfg *jetstream.StreamConfig, filter string) error {
	n := a.names
	own := []string{n.mailboxStream(), n.ingressStream(), n.journalStream(), bucketStream(n.metaBucket()), bucketStream(n.timersBucket())}
	switch {
	case slices.Contains(own, cfg.Name):
		return fmt.Errorf("stream %q is jetfn's own; read another one", cfg.Name)
	case filter == "" && (cfg.Name == n.egressStream() || cfg.Name == n.dlqStream()):
		return fmt.Errorf("stream %q also holds what jetfn notes for itself; name the subject to read, such as %s.egress.>", cfg.Name, n.app)
	case cfg.Retention != jetstream.LimitsPolicy:
		return fmt.Errorf("stream %q has the retention %q: it removes what is acknowledged or what nobody is interested in, and jetfn reads without acknowledging; "+
			"make a stream with the retention \"limits\" that has this one as a source, and read that", cfg.Name, strings.ToLower(cfg.Retention.String()))
	}
	if filter == "" || len(cfg.Subjects) == 0 {
		return nil // all of it, or a mirror, whose subjects are elsewhere
	}
	collides := func(s string) bool { return server.SubjectsCollide(s, filter) }
	if !slices.ContainsFunc(cfg.Subjects, collides) && len(cfg.Sources) == 0 {
		return fmt.Errorf("stream %q has no subject that %q matches; it has %s", cfg.Name, filter, strings.Join(cfg.Subjects, ", "))
	}
	return nil
}

// same reports whether the record is about this stream.
func (r *foreignRecord) same(info *jetstream.StreamInfo) error {
	const remedy = "its position means nothing there; give the ingress another id to read the new stream from its start"
	switch {
	case r.Stream != info.Config.Name:
		return fmt.Errorf("the ingress has read the stream %q so far, and is to read %q now: %s", r.Stream, info.Config.Name, remedy)
	case !r.Created.Equal(info.Created):
		return fmt.Errorf("the stream %q was created anew at %s: %s", r.Stream, info.Created.Format(time.RFC3339), remedy)
	}
	return nil
}

// foreignRecord reads the ingress' record, or writes it if there is none.
func (a *App) foreignRecord(ctx context.Context, cfg *ForeignConfig, info *jetstream.StreamInfo) (foreignRecord, error) {
	key := foreignKey(cfg.Ingress)
	record, err := a.readForeign(ctx, key)
	if !errors.Is(err, jetstream.ErrKeyNotFound) {
		return record, err
	}
	record = foreignRecord{Stream: info.Config.Name, Created: info.Created, Start: 1}
	if cfg.Consumer != "" {
		if err := a.adopt(ctx, cfg, &record); err != nil {
			return record, err
		}
	}
	data, err := json.Marshal(record)
	if err != nil {
		return record, fmt.Errorf("write the record of the ingress: %w", err)
	}
	_, err = a.streams.metaKV.Create(ctx, key, data)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists): // another worker was faster
		return a.readForeign(ctx, key)
	case err != nil:
		return record, fmt.Errorf("write the record of the ingress: %w", err)
	}
	return record, nil
}

func (a *App) readForeign(ctx context.Context, key string) (foreignRecord, error) {
	var record foreignRecord
	entry, err := a.streams.metaKV.Get(ctx, key)
	if err != nil {
		return record, fmt.Errorf("read the record of the ingress: %w", err)
	}
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		return record, fmt.Errorf("%s/%s is damaged: %w", a.names.metaBucket(), key, err)
	}
	return record, nil
}

// adopt takes a consumer's filter and position over: what it acknowledged
// without a gap is not read again.
func (a *App) adopt(ctx context.Context, cfg *ForeignConfig, record *foreignRecord) error {
	consumer, err := a.js.Consumer(ctx, cfg.Stream, cfg.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("stream %q has no consumer %q; repair the name, or leave it out to read from the start", cfg.Stream, cfg.Consumer)
	}
	if err != nil {
		return fmt.Errorf("look consumer %q of stream %q up: %w", cfg.Consumer, cfg.Stream, err)
	}
	info := consumer.CachedInfo()
	filters := info.Config.FilterSubjects
	if info.Config.FilterSubject != "" {
		filters = []string{info.Config.FilterSubject}
	}
	if cfg.Subject != "" && !slices.Equal(filters, []string{cfg.Subject}) {
		return fmt.Errorf("consumer %q filters by %q, and the ingress is to read %q; leave the subject out to take the consumer's over",
			cfg.Consumer, strings.Join(filters, ", "), cfg.Subject)
	}
	position := info.AckFloor.Stream
	if info.Config.AckPolicy == jetstream.AckNonePolicy {
		position = info.Delivered.Stream
	}
	record.Consumer, record.Filters, record.Start = cfg.Consumer, filters, position+1
	a.cfg.Log.Info().Stringer("ingress", cfg.Ingress).Str("stream", cfg.Stream).Str("consumer", cfg.Consumer).Uint64("seq", record.Start).
		Int("unacknowledged", info.NumAckPending).Msg("position of a consumer taken over")
	return nil
}
