package kvstate_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/kvstate"
)

func record(id string) actor.StateKey { return actor.StateKey{Address: address(id)} }

func address(id string) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: "ns", Name: "fn"}, ID: id}
}

func count(commit uint64) actor.StateRecord {
	return actor.StateRecord{
		Epoch: 1, Commit: commit,
		State: actor.State{{Name: "count", Value: actor.Value{Type: "a/b", Data: strconv.AppendUint(nil, commit, 10)}, WrittenAt: 1}},
	}
}

func write(t *testing.T, s actor.StateStore, id string, r actor.StateRecord, revision uint64) uint64 {
	t.Helper()
	result := actortest.Await(t, func(done func(actor.WriteResult)) { s.Write(record(id), r, revision, done) })
	if result.Outcome != actor.Stored {
		t.Fatalf("Write = %+v", result)
	}
	return result.Seq
}

func bucket(t *testing.T, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), "app_state")
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// foreign writes are what any NATS client can do to a key.
func foreignWrites(t *testing.T, kv jetstream.KeyValue, key string) map[string]func() error {
	t.Helper()
	return map[string]func() error{
		"put":         func() error { _, err := kv.PutString(t.Context(), key, "hello"); return err },
		"record copy": func() error { return copyRecord(t, kv, key) },
		"delete":      func() error { return kv.Delete(t.Context(), key) },
		"many puts": func() error {
			for range 7 {
				if _, err := kv.PutString(t.Context(), key, "hello"); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// copyRecord puts another key's valid record there.
func copyRecord(t *testing.T, kv jetstream.KeyValue, key string) error {
	t.Helper()
	data, err := kvstate.Encode("ns.fn.other", count(99))
	if err != nil {
		return err
	}
	_, err = kv.Put(t.Context(), key, data)
	return err
}

func TestForeignWritesAreNeverMerged(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"put", "record copy", "delete", "many puts"} {
		for _, removed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, removed %v", name, removed), func(t *testing.T) {
				t.Parallel()
				store, js := open(t)
				s := store.Partition(0)
				ours := count(2)
				if removed {
					ours.State = nil
				}
				write(t, s, "a", ours, write(t, s, "a", count(1), 0))
				if err := foreignWrites(t, bucket(t, js), "ns.fn.a")[name](); err != nil {
					t.Fatal(err)
				}
				got, err := s.Load(t.Context(), record("a"))
				if err != nil {
					t.Fatal(err)
				}
				if !got.Foreign || !strings.Contains(got.Detail, "foreign") || got.Record == nil {
					t.Fatalf("Load = %+v, want a foreign revision above our record", got)
				}
				if diff := cmp.Diff(ours, *got.Record, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("record (-want +got):\n%s", diff)
				}
				write(t, s, "a", count(3), got.Revision)
				got, err = s.Load(t.Context(), record("a"))
				if err != nil || got.Foreign || got.Record == nil || got.Record.Commit != 3 {
					t.Errorf("Load after writing over it = %+v, %v, want commit 3", got, err)
				}
			})
		}
	}
}

func TestForeignWritesToAKeyThatNeverHadState(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"put", "record copy", "delete", "many puts"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, js := open(t)
			s := store.Partition(0)
			if err := foreignWrites(t, bucket(t, js), "ns.fn.a")[name](); err != nil {
				t.Fatal(err)
			}
			got, err := s.Load(t.Context(), record("a"))
			if err != nil || got.Record != nil || !got.Foreign || got.Revision == 0 {
				t.Errorf("Load = %+v, %v, want a foreign revision and no record", got, err)
			}
			write(t, s, "a", count(1), got.Revision)
		})
	}
}

func TestStateThatCanNotBeRestoredIsLost(t *testing.T) {
	t.Parallel()
	for name, destroy := range map[string]func(*testing.T, jetstream.KeyValue) error{
		"purge": func(t *testing.T, kv jetstream.KeyValue) error {
			t.Helper()
			return kv.Purge(t.Context(), "ns.fn.a")
		},
		"purge and put": func(t *testing.T, kv jetstream.KeyValue) error {
			t.Helper()
			if err := kv.Purge(t.Context(), "ns.fn.a"); err != nil {
				return err
			}
			_, err := kv.PutString(t.Context(), "ns.fn.a", "x")
			return err
		},
		"eight puts": func(t *testing.T, kv jetstream.KeyValue) error {
			t.Helper()
			for range 8 {
				if _, err := kv.PutString(t.Context(), "ns.fn.a", "x"); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, js := open(t)
			s := store.Partition(0)
			write(t, s, "a", count(1), 0)
			write(t, s, "b", count(1), 0)
			if err := destroy(t, bucket(t, js)); err != nil {
				t.Fatal(err)
			}
			_, err := s.Load(t.Context(), record("a"))
			if !errors.Is(err, actor.ErrStateLost) || !strings.Contains(err.Error(), "ns.fn.a") {
				t.Errorf("Load = %v, want ErrStateLost that names the key", err)
			}
			if got, err := s.Load(t.Context(), record("b")); err != nil || got.Record == nil {
				t.Errorf("Load of another key = %+v, %v", got, err)
			}
		})
	}
}

func TestAnOlderRecordThatIsPutBackIsForeign(t *testing.T) {
	t.Parallel()
	store, js := open(t)
	s := store.Partition(0)
	kv := bucket(t, js)
	rev := write(t, s, "a", count(1), 0)
	old, err := kv.GetRevision(t.Context(), "ns.fn.a", rev)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, "a", count(2), rev)
	if _, err := kv.Put(t.Context(), "ns.fn.a", old.Value()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load(t.Context(), record("a"))
	if err != nil || !got.Foreign || got.Record == nil || got.Record.Commit != 2 {
		t.Errorf("Load = %+v, %v, want commit 2", got.Record, err)
	}
}

func TestAnyClientReadsTheBucket(t *testing.T) {
	t.Parallel()
	store, js := open(t)
	s := store.Partition(0)
	kv := bucket(t, js)
	write(t, s, "a b", count(1), 0)
	entry, err := kv.Get(t.Context(), "ns.fn.a=20b")
	if err != nil || !strings.Contains(string(entry.Value()), `"values":{"count":{"type":"a/b","value":"MQ==","writtenAt":1}}`) {
		t.Fatalf("Get = %v, %v", entry, err)
	}
	removed := count(2)
	removed.State = nil
	write(t, s, "a b", removed, entry.Revision())
	if _, err := kv.Get(t.Context(), "ns.fn.a=20b"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("Get of removed state = %v, want ErrKeyNotFound", err)
	}
}

func TestRemovalMarkersGoAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := open(t)
		s := store.Partition(0)
		removed := count(2)
		removed.State = nil
		write(t, s, "a", removed, write(t, s, "a", count(1), 0))
		time.Sleep(23 * time.Hour)
		if got, err := s.Load(t.Context(), record("a")); err != nil || got.Record == nil || got.Record.Commit != 2 {
			t.Errorf("Load after 23 hours = %+v, %v, want the marker", got, err)
		}
		time.Sleep(2 * time.Hour)
		if got, err := s.Load(t.Context(), record("a")); err != nil || got.Revision != 0 {
			t.Errorf("Load after 25 hours = %+v, %v, want nothing", got, err)
		}
	})
}

func TestARecordThatNamesAnotherPartitionIsForeign(t *testing.T) {
	t.Parallel()
	store, _ := open(t)
	write(t, store.Partition(7), "a", count(1), 0) // of an application with one partition
	got, err := store.Partition(0).Load(t.Context(), record("a"))
	if err != nil || !got.Foreign || got.Record != nil {
		t.Errorf("Load = %+v, %v, want foreign", got, err)
	}
}

func TestListGoesThroughATypeInPages(t *testing.T) {
	t.Parallel()
	store, js := open(t)
	s := store.Partition(0)
	ids := []string{"a", "b", "c.1", "d", "e"}
	for i, id := range ids {
		write(t, s, id, count(uint64(i+1)), 0)
	}
	removed := count(9)
	removed.State = nil
	write(t, s, "bb", removed, 0)
	kv := bucket(t, js)
	for _, foreign := range []string{"ns.fn.zz", "ns.fn.a.table.x", "ns.fn2.a", "ns.fn.a=2"} {
		if _, err := kv.PutString(t.Context(), foreign, "x"); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := 0
	for after := ""; ; {
		items, next, err := store.List(t.Context(), actor.TypeName{Namespace: "ns", Name: "fn"}, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			got = append(got, item.Address.ID)
			if item.Revision == 0 || len(item.Record.State) != 1 {
				t.Errorf("item %+v", item)
			}
		}
		if pages++; next == "" || pages > 10 {
			break
		}
		after = next
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	items, next, err := store.List(t.Context(), actor.TypeName{Namespace: "no", Name: "such"}, "", 0)
	if err != nil || len(items) != 0 || next != "" {
		t.Errorf("List of nothing = %v, %q, %v", items, next, err)
	}
}

func TestABucketIsReadDirectlyWhereItsServerIsAlone(t *testing.T) {
	t.Parallel()
	_, js := open(t)
	for _, alone := range []bool{false, true, true, false} { // also one that was opened in the other way
		s, err := kvstate.Open(t.Context(), js, kvstate.Config{App: "app", Alone: alone})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		stream, err := js.Stream(t.Context(), "KV_app_state")
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.AllowDirect; got != alone {
			t.Errorf("opened with Alone %t, direct reads are allowed: %t", alone, got)
		}
	}
}

func TestOpenVerifiesTheBucket(t *testing.T) {
	t.Parallel()
	_, js := open(t)
	s, err := js.Stream(t.Context(), "KV_app_state")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgsPerSubject = 1
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := kvstate.Open(t.Context(), js, kvstate.Config{App: "app"}); err == nil || !strings.Contains(err.Error(), "messages per subject is 1, want 8") {
		t.Errorf("Open = %v, want an error about the history", err)
	}
}
