package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	formatVersion = 1
	hashName      = "fnv1a-32/id" // actor.PartitionOf
)

// creation is the record that fixes, once, how the application is laid out.
type creation struct {
	Format      int    `json:"format"`
	Partitions  int    `json:"partitions"`
	Shards      int    `json:"shards"`
	Hash        string `json:"hash"`
	Incarnation string `json:"incarnation"`
	CreatedAt   string `json:"createdAt"`
}

func (a *App) openMeta(ctx context.Context) error {
	bucket := a.names.metaBucket()
	cfg := bucketConfig(bucket, 1, a.cfg.Replicas)
	stream, err := jspub.EnsureStream(ctx, a.js, cfg, jspub.Verify)
	if err != nil {
		return err
	}
	a.streams.meta = stream
	kv, err := a.js.KeyValue(ctx, bucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	a.streams.metaKV = syncedBucket{kv, a.cfg.Syncer}
	return nil
}

// openCreation reads the creation record, or makes it if there is none.
func (a *App) openCreation(ctx context.Context) error {
	record, err := a.readCreation(ctx)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if err = a.writeCreation(ctx); err != nil {
			return err
		}
		record, err = a.readCreation(ctx) // it may be another process' one
	}
	if err != nil {
		return fmt.Errorf("read the creation record: %w", err)
	}
	a.creation = record
	return record.check(a.cfg)
}

func (a *App) readCreation(ctx context.Context) (creation, error) {
	entry, err := a.streams.metaKV.Get(ctx, creationKey)
	if err != nil {
		return creation{}, err
	}
	var record creation
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		return creation{}, fmt.Errorf("%s/%s is damaged: %w", a.names.metaBucket(), creationKey, err)
	}
	return record, nil
}

func (a *App) writeCreation(ctx context.Context) error {
	partitions := a.cfg.Partitions
	if partitions == 0 {
		partitions = defaultPartitions
	}
	data, err := json.Marshal(creation{
		Format: formatVersion, Partitions: partitions, Shards: 1, Hash: hashName,
		Incarnation: strings.ToLower(rand.Text()[:16]),
		CreatedAt:   time.Now().UTC().Format(time.RFC3339),
	})
	if err != nil {
		return fmt.Errorf("write the creation record: %w", err)
	}
	_, err = a.streams.metaKV.Create(ctx, creationKey, data)
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("write the creation record: %w", err)
	}
	return nil
}

func (c creation) check(cfg Config) error {
	switch {
	case c.Format > formatVersion:
		return fmt.Errorf("it was created by a newer jetfn, in format %d; this one knows formats up to %d: use the newer jetfn", c.Format, formatVersion)
	case c.Hash != hashName:
		return fmt.Errorf("it assigns addresses to partitions by %q, which this jetfn does not know; it knows %q", c.Hash, hashName)
	case c.Shards != 1:
		return fmt.Errorf("it has %d shards; this jetfn knows only one", c.Shards)
	case c.Partitions < 1 || c.Partitions > maxPartitions || c.Incarnation == "":
		return fmt.Errorf("its creation record is damaged: %d partitions, incarnation %q", c.Partitions, c.Incarnation)
	case cfg.Partitions != 0 && cfg.Partitions != c.Partitions:
		return fmt.Errorf("it was created with %d partitions, which can't be changed to %d; leave the number out, or use another application name", c.Partitions, cfg.Partitions)
	}
	return nil
}
