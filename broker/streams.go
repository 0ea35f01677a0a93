package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	inputDedup = 2 * time.Minute
	packDedup  = 30 * time.Second // of a gate's packs; it keeps its messages' ids itself
	// outputDedup is short: what the server remembers of ids costs it memory, and
	// what is stored twice is found without (PROTOCOL E4).
	outputDedup = 2 * time.Second
)

// streams are an application's, opened.
type streams struct {
	mailbox, ingress, journal, egress, dlq, timers, meta jetstream.Stream
	metaKV                                               jetstream.KeyValue
}

func (a *App) openStreams(ctx context.Context) error {
	s := &a.streams
	err := jspub.Switch(ctx, a.js, a.mailboxConfig(!a.cfg.Gate), a.mailboxConfig(a.cfg.Gate))
	if err != nil {
		return err
	}
	egress := a.egressConfig(a.cfg.EgressPrefix)
	if have, err := a.js.Stream(ctx, egress.Name); err == nil { // another worker may write to other subjects
		egress.Subjects = union(have.CachedInfo().Config.Subjects, egress.Subjects)
	}
	for _, part := range []struct {
		stream *jetstream.Stream
		cfg    jetstream.StreamConfig
		policy jspub.Policy
	}{
		{&s.mailbox, a.mailboxConfig(a.cfg.Gate), jspub.Verify},
		{&s.ingress, a.ingressConfig(), jspub.Adapt},
		{&s.journal, a.journalConfig(), jspub.Verify},
		{&s.egress, egress, jspub.Adapt},
		{&s.dlq, a.dlqConfig(), jspub.Adapt},
		{&s.timers, bucketConfig(a.names.timersBucket(), 1, a.cfg.Replicas), jspub.Verify},
	} {
		stream, err := jspub.EnsureStream(ctx, a.js, part.cfg, part.policy)
		if err != nil {
			return err
		}
		*part.stream = stream
	}
	return nil
}

// mailboxConfig has no limit: one that refuses would let partitions that send
// to each other block for ever, and one that discards loses messages.
func (a *App) mailboxConfig(gate bool) jetstream.StreamConfig {
	source, destination := a.names.mailboxTransform(a.creation.Partitions)
	window := inputDedup
	if gate {
		window = packDedup
	}
	return jetstream.StreamConfig{
		Name:             a.names.mailboxStream(),
		Description:      "messages to functions of " + a.cfg.App,
		Subjects:         a.names.mailboxSubjects(gate),
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: source, Destination: destination},
		Storage:          jetstream.FileStorage,
		Replicas:         a.cfg.Replicas,
		Duplicates:       window,

		AllowAtomicPublish: true,
	}
}

// relays says whether ingress records come in through a relay.
func (a *App) relays() bool { return a.cfg.Gate && a.cfg.Syncer != nil }

func (a *App) ingressConfig() jetstream.StreamConfig {
	source, destination := a.names.ingressTransform(a.creation.Partitions)
	return jetstream.StreamConfig{
		Name:             a.names.ingressStream(),
		Description:      "ingress records of " + a.cfg.App,
		Subjects:         a.names.ingressSubjects(a.relays()),
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: source, Destination: destination},
		Storage:          jetstream.FileStorage,
		Replicas:         a.cfg.Replicas,
		Duplicates:       inputDedup,
	}
}

// journalConfig has no limit whatsoever: a journal's last record is the fence
// of its partition and must never go.
func (a *App) journalConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        a.names.journalStream(),
		Description: "journals of the partitions of " + a.cfg.App,
		Subjects:    a.names.journalSubjects(),
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    a.cfg.Replicas,
	}
}

// AddEgress makes prefixes those of the egresses, once BindEgress has them.
func (a *App) AddEgress(ctx context.Context, prefixes map[actor.TypeName]string) error {
	if err := a.BindEgress(ctx, prefixes); err != nil {
		return err
	}
	a.prefixes.Store(&prefixes)
	return nil
}

// BindEgress lets the egress stream take the subjects of prefixes besides
// those that it takes already.
func (a *App) BindEgress(ctx context.Context, prefixes map[actor.TypeName]string) error {
	if err := checkPrefixes(prefixes); err != nil {
		return err
	}
	cfg := a.egressConfig(prefixes)
	have, err := a.streams.egress.Info(ctx)
	if err != nil {
		return fmt.Errorf("look the egress stream up: %w", err)
	}
	cfg.Subjects = union(have.Config.Subjects, cfg.Subjects)
	_, err = jspub.EnsureStream(ctx, a.js, cfg, jspub.Adapt)
	return err
}

// SettleEgress has the stream take no subjects but those of the prefixes now.
// Nothing that names another may be on its way.
func (a *App) SettleEgress(ctx context.Context) error {
	_, err := jspub.EnsureStream(ctx, a.js, a.egressConfig(*a.prefixes.Load()), jspub.Adapt)
	return err
}

func (a *App) egressConfig(prefixes map[actor.TypeName]string) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:        a.names.egressStream(),
		Description: "egress messages of " + a.cfg.App,
		Subjects:    union(a.names.egressSubjects(prefixes), []string{a.names.egressMarks()}),
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    a.cfg.Replicas,
		MaxAge:      a.cfg.EgressMaxAge,
		MaxBytes:    a.cfg.EgressMaxBytes,
		Duplicates:  outputDedup,

		AllowAtomicPublish: true,
		AllowBatchPublish:  true,
	}
	cfg.Duplicates = min(cfg.Duplicates, cfg.MaxAge)
	return cfg
}

func (a *App) dlqConfig() jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:        a.names.dlqStream(),
		Description: "dead letters of " + a.cfg.App,
		Subjects:    a.names.dlqSubjects(),
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		Replicas:    a.cfg.Replicas,
		MaxAge:      a.cfg.EgressMaxAge,
		Duplicates:  outputDedup,

		AllowAtomicPublish: true,
		AllowBatchPublish:  true,
	}
	cfg.Duplicates = min(cfg.Duplicates, cfg.MaxAge)
	return cfg
}

// bucketConfig is a KV bucket as its clients expect one, but for AllowDirect:
// our reads must be answered by the leader.
func bucketConfig(bucket string, history int64, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              bucketStream(bucket),
		Subjects:          []string{bucketSubject(bucket) + ">"},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: history,
		Replicas:          replicas,
		AllowRollup:       true,
		AllowMsgTTL:       true,
		DenyDelete:        true,

		AllowAtomicPublish: true,
	}
}
