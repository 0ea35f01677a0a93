package jspub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Policy says what EnsureStream does with a stream that is there and differs.
type Policy uint8

const (
	// Verify returns an error that names the differences. The zero value.
	Verify Policy = iota
	// Adapt updates subjects, age and size limits, what is discarded at them,
	// and the window for duplicates, and verifies the rest.
	Adapt
)

// EnsureStream returns the stream want describes, after creating it if it is
// not there. The number of replicas and the description may differ, and the
// stream takes fast batches only if its server knows them.
func EnsureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, policy Policy) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = create(ctx, js, want)
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", want.Name, err)
	}
	have := stream.CachedInfo().Config
	if policy == Adapt && adapt(&have, want) {
		if stream, err = js.UpdateStream(ctx, have); err != nil {
			return nil, fmt.Errorf("update stream %s: %w", want.Name, named(ctx, js, want, err))
		}
		have = stream.CachedInfo().Config
	}
	if diffs := differences(have, want); len(diffs) > 0 {
		return nil, fmt.Errorf("stream %s is not configured as jetfn needs it: %s; restore these settings with `nats stream edit %s`",
			want.Name, strings.Join(diffs, ", "), want.Name)
	}
	if want.AllowAtomicPublish && !have.AllowAtomicPublish { // an older jetfn created it
		have.AllowAtomicPublish = true
		if stream, err = js.UpdateStream(ctx, have); err != nil {
			return nil, fmt.Errorf("let stream %s take batches: %w", want.Name, err)
		}
		have = stream.CachedInfo().Config
	}
	if want.AllowBatchPublish && !have.AllowBatchPublish && knowsFastBatches(ctx, js, stream) {
		have.AllowBatchPublish = true
		if updated, err := js.UpdateStream(ctx, have); err == nil { // else it goes without
			stream = updated
		}
	}
	return stream, nil
}

// levelFastBatches is the level of JetStream's API that has fast batches.
const levelFastBatches = 4

// knowsFastBatches says whether a stream can take fast batches. In a cluster
// servers of several versions may be at work, and those that don't know a
// setting take its streams offline.
func knowsFastBatches(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream) bool {
	if c := stream.CachedInfo().Cluster; c != nil && c.Name != "" {
		return false
	}
	info, err := js.AccountInfo(ctx)
	return err == nil && info.API.Level >= levelFastBatches
}

// Switch gives the stream that from describes the subjects and the window for
// duplicates of to. It leaves any other stream as it is, and is content with
// none.
func Switch(ctx context.Context, js jetstream.JetStream, from, to jetstream.StreamConfig) error {
	stream, err := js.Stream(ctx, from.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open stream %s: %w", from.Name, err)
	}
	have := stream.CachedInfo().Config
	if !sameSubjects(have.Subjects, from.Subjects) || have.Duplicates != from.Duplicates {
		return nil
	}
	have.Subjects, have.Duplicates = to.Subjects, to.Duplicates
	if _, err := js.UpdateStream(ctx, have); err != nil {
		return fmt.Errorf("update stream %s: %w", to.Name, named(ctx, js, to, err))
	}
	return nil
}

// SetDirect lets the messages of a stream be read directly, or not. It is
// content if there is no such stream.
func SetDirect(ctx context.Context, js jetstream.JetStream, name string, direct bool) error {
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open stream %s: %w", name, err)
	}
	cfg := stream.CachedInfo().Config
	if cfg.AllowDirect == direct {
		return nil
	}
	cfg.AllowDirect = direct
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("update stream %s: %w", name, err)
	}
	return nil
}

func create(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	want.AllowBatchPublish = false // the server may not know it
	stream, err := js.CreateStream(ctx, want)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return js.Stream(ctx, want.Name) // somebody created it meanwhile
	}
	if err != nil {
		return nil, named(ctx, js, want, err)
	}
	return stream, nil
}

const codeSubjectOverlap = 10065

// named adds to an overlap error which streams bind the subjects.
func named(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != codeSubjectOverlap {
		return err
	}
	for _, subject := range want.Subjects {
		names := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
		for name := range names.Name() {
			if name != want.Name {
				return fmt.Errorf("stream %s already binds subjects in %s; change its subjects, or run this app under another name: %w", name, subject, err)
			}
		}
	}
	return err
}

// adapt changes have to want where that is allowed, and says if it did.
func adapt(have *jetstream.StreamConfig, want jetstream.StreamConfig) bool {
	window := want.Duplicates
	if window == 0 {
		window = have.Duplicates
	}
	if sameSubjects(have.Subjects, want.Subjects) && have.MaxAge == want.MaxAge && have.MaxBytes == orNone(want.MaxBytes) && have.Discard == want.Discard &&
		have.Duplicates == window {
		return false
	}
	have.Subjects, have.MaxAge, have.MaxBytes, have.Discard, have.Duplicates = want.Subjects, want.MaxAge, want.MaxBytes, want.Discard, window
	return true
}

func sameSubjects(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// orNone is a limit as the server tells it: none is -1.
func orNone(limit int64) int64 {
	if limit == 0 {
		return -1
	}
	return limit
}

func differences(have, want jetstream.StreamConfig) []string {
	var diffs []string
	add := func(name string, differs bool, is, wanted any) {
		if differs {
			diffs = append(diffs, fmt.Sprintf("%s is %v, want %v", name, is, wanted))
		}
	}
	add("subjects", !sameSubjects(have.Subjects, want.Subjects), have.Subjects, want.Subjects)
	add("retention", have.Retention != want.Retention, have.Retention, want.Retention)
	add("storage", have.Storage != want.Storage, have.Storage, want.Storage)
	add("discard", have.Discard != want.Discard, have.Discard, want.Discard)
	add("max age", have.MaxAge != want.MaxAge, have.MaxAge, want.MaxAge)
	add("max bytes", have.MaxBytes != orNone(want.MaxBytes), have.MaxBytes, orNone(want.MaxBytes))
	add("max messages", have.MaxMsgs != orNone(want.MaxMsgs), have.MaxMsgs, orNone(want.MaxMsgs))
	perSubject := orNone(want.MaxMsgsPerSubject)
	add("max messages per subject", have.MaxMsgsPerSubject != perSubject, have.MaxMsgsPerSubject, perSubject)
	add("max message size", have.MaxMsgSize > 0, have.MaxMsgSize, -1)
	add("duplicate window", want.Duplicates != 0 && have.Duplicates != want.Duplicates, have.Duplicates, want.Duplicates)
	add("allow direct", have.AllowDirect != want.AllowDirect, have.AllowDirect, want.AllowDirect)
	add("allow rollup", have.AllowRollup != want.AllowRollup, have.AllowRollup, want.AllowRollup)
	add("allow message TTL", have.AllowMsgTTL != want.AllowMsgTTL, have.AllowMsgTTL, want.AllowMsgTTL)
	add("deny purge", have.DenyPurge != want.DenyPurge, have.DenyPurge, want.DenyPurge)
	add("no ack", have.NoAck != want.NoAck, have.NoAck, want.NoAck)
	add("sealed", have.Sealed != want.Sealed, have.Sealed, want.Sealed)
	add("subject transform", !sameTransform(have.SubjectTransform, want.SubjectTransform), have.SubjectTransform, want.SubjectTransform)
	return diffs
}

func sameTransform(a, b *jetstream.SubjectTransformConfig) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
