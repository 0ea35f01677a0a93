package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrRevision means that another revision was made meanwhile.
var ErrRevision = errors.New("another revision is the newest one")

var errOtherNumber = errors.New("it has another number")

// ModuleRevision is what the module was at a time, as all workers of the
// application know it.
type ModuleRevision struct {
	// Number counts from 1, without gaps.
	Number    uint64 `json:"revision"`
	AppliedAt string `json:"appliedAt"` // RFC 3339
	// By says who made it, for people.
	By string `json:"by"`
	// Origin is "files", "apply" or "rollback".
	Origin string `json:"origin"`
	// Of is the revision that a rollback took up again; zero: none.
	Of uint64 `json:"of,omitempty"`
	// Digest is of the contents of Files: equal ones are the same module.
	Digest  string       `json:"digest"`
	Files   []ModuleFile `json:"files"`
	Summary string       `json:"summary"` // what it has, in few words
	// Functions are those that it serves, and Removed those that an earlier
	// one did and it does not.
	Functions []string          `json:"functions,omitempty"`
	Removed   []RemovedFunction `json:"removed,omitempty"`
}

// ModuleFile is a file of a module, as it was written: variables are not
// expanded.
type ModuleFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// RemovedFunction is one that is not served any more.
type RemovedFunction struct {
	Functions string `json:"functions"` // ns/name or ns/*
	At        int64  `json:"at"`        // Unix milliseconds
}

// PutModule makes r the newest revision. Its error is ErrRevision if r.Number
// is not the next one, and wraps ErrUnknown if it may be the newest one
// nevertheless.
func (a *App) PutModule(ctx context.Context, r *ModuleRevision) error {
	newest, err := a.NewestModule(ctx)
	if err != nil {
		return err
	}
	if r.Number != newest.Number+1 {
		return ErrRevision
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write module revision %d: %w", r.Number, err)
	}
	if most := a.nc.MaxPayload() - headerRoom; int64(len(value)) > most {
		return fmt.Errorf("%w: module revision %d takes %d bytes, the server's messages hold %d", ErrTooLarge, r.Number, len(value), most)
	}
	_, err = a.streams.metaKV.Create(ctx, moduleKey(r.Number), value)
	switch {
	case isConflict(err):
		return ErrRevision
	case err != nil:
		return fmt.Errorf("write module revision %d: %w: %w", r.Number, ErrUnknown, err)
	}
	return nil
}

// Module reads a revision; jetstream.ErrKeyNotFound if there is none of that
// number, or none any more.
func (a *App) Module(ctx context.Context, number uint64) (ModuleRevision, error) {
	subject := bucketSubject(a.names.metaBucket()) + moduleKey(number)
	m, err := a.streams.meta.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Header.Get(headerOperation) != "" {
		return ModuleRevision{}, jetstream.ErrKeyNotFound
	}
	if err != nil {
		return ModuleRevision{}, fmt.Errorf("read module revision %d: %w", number, err)
	}
	return a.readModule(number, m.Data)
}

func (a *App) readModule(number uint64, data []byte) (ModuleRevision, error) {
	var r ModuleRevision
	if err := json.Unmarshal(data, &r); err != nil || r.Number != number {
		return r, fmt.Errorf("%s/%s is damaged: %w", a.names.metaBucket(), moduleKey(number), cmp.Or(err, errOtherNumber))
	}
	return r, nil
}

// moduleNumbers are those of the revisions that are kept, in order, as the
// leader knows them.
func (a *App) moduleNumbers(ctx context.Context) ([]uint64, error) {
	prefix := bucketSubject(a.names.metaBucket()) + modulePrefix
	info, err := a.streams.meta.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("list module revisions: %w", err)
	}
	numbers := make([]uint64, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		if n, err := strconv.ParseUint(strings.TrimPrefix(subject, prefix), 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// NewestModule reads the newest revision; its number is zero if there is
// none.
func (a *App) NewestModule(ctx context.Context) (ModuleRevision, error) {
	numbers, err := a.moduleNumbers(ctx)
	if err != nil || len(numbers) == 0 {
		return ModuleRevision{}, err
	}
	return a.Module(ctx, numbers[len(numbers)-1])
}

// Modules reads all revisions that are kept, the newest first.
func (a *App) Modules(ctx context.Context) ([]ModuleRevision, error) {
	numbers, err := a.moduleNumbers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]ModuleRevision, 0, len(numbers))
	for _, n := range slices.Backward(numbers) {
		r, err := a.Module(ctx, n)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// TrimModules removes all but the newest revisions, and those that keep
// names.
func (a *App) TrimModules(ctx context.Context, most int, keep []uint64) error {
	numbers, err := a.moduleNumbers(ctx)
	if err != nil {
		return err
	}
	prefix := bucketSubject(a.names.metaBucket())
	for _, n := range numbers[:max(len(numbers)-most, 0)] {
		if slices.Contains(keep, n) {
			continue
		}
		if err := a.streams.meta.Purge(ctx, jetstream.WithPurgeSubject(prefix+moduleKey(n))); err != nil {
			return fmt.Errorf("remove module revision %d: %w", n, err)
		}
	}
	return nil
}

// WatchModules calls each with the newest revision, now and after each
// change, until ctx ends (nil) or it can't go on.
func (a *App) WatchModules(ctx context.Context, each func(ModuleRevision)) error {
	watcher, err := a.streams.metaKV.Watch(ctx, modulePrefix+"*")
	if err != nil {
		return fmt.Errorf("watch the module: %w", err)
	}
	defer func() { _ = watcher.Stop() }() // fails if it has ended
	var newest ModuleRevision
	all := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok && ctx.Err() != nil:
				return nil
			case !ok:
				return errors.New("watch the module: the watcher ended by itself")
			case entry == nil:
				all = true
			default:
				n, err := strconv.ParseUint(strings.TrimPrefix(entry.Key(), modulePrefix), 10, 64)
				if err != nil || entry.Operation() != jetstream.KeyValuePut || n <= newest.Number {
					continue
				}
				if newest, err = a.readModule(n, entry.Value()); err != nil {
					return err
				}
			}
			if all && newest.Number > 0 {
				each(newest)
			}
		}
	}
}

// IngressReading says by which module revision the records of the ingress
// stream are read, from one sequence on up to the next reading.
type IngressReading struct {
	From     uint64 `json:"from"`
	Revision uint64 `json:"revision"`
}

// readingsRecord is the value of the readings' key.
type readingsRecord struct {
	Owner    string           `json:"owner"`
	At       string           `json:"at"`
	Readings []IngressReading `json:"readings"`
}

// ChangeReadings decides anew by which revisions the records of the ingress
// stream are read: given what was decided before, the first sequence that the
// stream still has, and the least that the next record can have.
type ChangeReadings func(now []IngressReading, first, next uint64) []IngressReading

// ClaimReadings changes by which revisions the records of the ingress stream
// are read. Whoever claims later makes every earlier claim's ReplaceReadings
// fail: only an owner whose journals are open may claim. It returns what holds
// then, and what the next replacement has to name.
func (a *App) ClaimReadings(ctx context.Context, owner string, change ChangeReadings) ([]IngressReading, uint64, error) {
	for {
		subject := bucketSubject(a.names.metaBucket()) + readingsKey
		record, revision := readingsRecord{}, uint64(0)
		m, err := a.streams.meta.GetLastMsgForSubject(ctx, subject)
		switch {
		case err == nil:
			revision = m.Sequence
			if err := json.Unmarshal(m.Data, &record); err != nil {
				return nil, 0, fmt.Errorf("%s/%s is damaged: %w", a.names.metaBucket(), readingsKey, err)
			}
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, 0, fmt.Errorf("read how ingress records are read: %w", err)
		}
		readings, claimed, err := a.ReplaceReadings(ctx, owner, revision, record.Readings, change)
		if errors.Is(err, ErrRevision) {
			continue
		}
		return readings, claimed, err
	}
}

// ReplaceReadings is ClaimReadings for whoever has claimed already, with what
// it returned. Its error is ErrRevision if there is another owner.
func (a *App) ReplaceReadings(ctx context.Context, owner string, claimed uint64, now []IngressReading, change ChangeReadings) ([]IngressReading, uint64, error) {
	info, err := a.streams.ingress.Info(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("look the ingress stream up: %w", err)
	}
	record := readingsRecord{Owner: owner, At: timeText(time.Now().UnixMilli(), 0), Readings: change(now, info.State.FirstSeq, info.State.LastSeq+1)}
	value, err := json.Marshal(record)
	if err != nil {
		return nil, 0, fmt.Errorf("write how ingress records are read: %w", err)
	}
	revision, err := a.streams.metaKV.Update(ctx, readingsKey, value, claimed)
	switch {
	case isConflict(err):
		return nil, 0, ErrRevision
	case err != nil:
		return nil, 0, fmt.Errorf("write how ingress records are read: %w: %w", ErrUnknown, err)
	}
	return record.Readings, revision, nil
}
