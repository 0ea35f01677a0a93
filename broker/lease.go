package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrLeaseLost means that another holder has taken the lease.
var ErrLeaseLost = errors.New("lease lost to another holder")

// Lease says which process should own the application's partitions. It is a
// hint: only the journals' fence excludes. Clocks need not agree: who waits
// takes the lease over when its record has not changed for the lease's time,
// by the waiter's own clock.
//
// A Lease is used by one goroutine at a time.
type Lease struct {
	kv       jetstream.KeyValue
	ttl      time.Duration
	id       string // of this Lease, unlike any other's
	holder   string
	revision uint64 // of our last renewal
	renewals uint64
}

// leaseRecord is the lease's value.
type leaseRecord struct {
	Holder   string `json:"holder"`
	ID       string `json:"id"`
	Renewals uint64 `json:"renewals"`
	TTL      string `json:"ttl"`
}

// Lease returns the application's lease, which this process does not hold yet.
func (a *App) Lease() *Lease {
	return &Lease{kv: a.streams.metaKV, ttl: a.cfg.LeaseTTL, id: rand.Text()}
}

// Acquire blocks until holder has the lease, at once if force is set. It
// calls waiting, which may be nil, with the name of each holder it waits for.
func (l *Lease) Acquire(ctx context.Context, holder string, force bool, waiting func(holder string)) error {
	l.holder = holder
	seen := observed{}
	for {
		done, err := l.try(ctx, force, &seen, waiting)
		if done {
			return nil
		}
		if err != nil {
			seen = observed{holder: seen.holder} // what happens while we can't see counts for nobody
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("acquire the lease: %w", err)
		case <-time.After(l.ttl / 20):
		}
	}
}

// observed is the revision of another's lease and when it was first seen.
type observed struct {
	revision uint64
	holder   string
	since    time.Time
}

// try takes the lease if it is free, expired or forced.
func (l *Lease) try(ctx context.Context, force bool, seen *observed, waiting func(string)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, l.ttl)
	defer cancel()
	entry, err := l.kv.Get(ctx, leaseKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return l.create(ctx)
	}
	if err != nil {
		return false, err
	}
	if force || l.expired(entry, seen, waiting) {
		err := l.update(ctx, entry.Revision())
		if isConflict(err) {
			return false, nil
		}
		return err == nil, err
	}
	return false, nil
}

// expired says whether the record has not changed for the lease's time.
func (l *Lease) expired(entry jetstream.KeyValueEntry, seen *observed, waiting func(string)) bool {
	var record leaseRecord
	if json.Unmarshal(entry.Value(), &record) != nil {
		record.Holder = "unknown" // somebody else wrote this; it expires like any other
	}
	if record.ID == l.id {
		return true // our own, from a tenure before
	}
	if waiting != nil && record.Holder != seen.holder {
		waiting(record.Holder)
	}
	if entry.Revision() != seen.revision {
		*seen = observed{revision: entry.Revision(), holder: record.Holder, since: time.Now()}
	}
	return time.Since(seen.since) >= l.ttl
}

func (l *Lease) create(ctx context.Context) (bool, error) {
	revision, err := l.kv.Create(ctx, leaseKey, l.record())
	if isConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.revision = revision
	return true, nil
}

func (l *Lease) update(ctx context.Context, expected uint64) error {
	revision, err := l.kv.Update(ctx, leaseKey, l.record(), expected)
	if err != nil {
		return err
	}
	l.revision = revision
	return nil
}

func (l *Lease) record() []byte {
	l.renewals++
	data, err := json.Marshal(leaseRecord{Holder: l.holder, ID: l.id, Renewals: l.renewals, TTL: l.ttl.String()})
	if err != nil {
		panic(fmt.Sprintf("broker: a struct of texts and numbers can't be marshalled: %v", err))
	}
	return data
}

// Hold renews the lease until ctx ends (nil) or it is lost (ErrLeaseLost).
// While the server can't be reached it goes on trying.
func (l *Lease) Hold(ctx context.Context) error {
	ticker := time.NewTicker(l.ttl / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := l.renew(ctx); errors.Is(err, ErrLeaseLost) {
			return err
		}
	}
}

// renew writes the record again. Its error matters only if it is ErrLeaseLost.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.ttl/2)
	defer cancel()
	err := l.update(ctx, l.revision)
	if !isConflict(err) {
		return err
	}
	entry, err := l.kv.Get(ctx, leaseKey) // it may be our own renewal, whose answer we missed
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return ErrLeaseLost
	}
	if err != nil {
		return err
	}
	var record leaseRecord
	if json.Unmarshal(entry.Value(), &record) != nil || record.ID != l.id {
		return fmt.Errorf("%w: %s", ErrLeaseLost, record.Holder)
	}
	l.revision = entry.Revision()
	return nil
}

// Release gives the lease up, so that the next holder need not wait. It does
// nothing if the lease is another's.
func (l *Lease) Release(ctx context.Context) error {
	err := l.kv.Delete(ctx, leaseKey, jetstream.LastRevision(l.revision))
	if err == nil || isConflict(err) {
		return nil
	}
	return fmt.Errorf("release the lease: %w", err)
}

const codeWrongLastSequence = 10071

// isConflict reports whether a conditional write found another revision.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && api.ErrorCode == codeWrongLastSequence
}
