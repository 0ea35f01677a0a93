package kvstate_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/kvstate"
)

// answer is what Read told of a key.
type answer struct {
	State actor.LoadedState
	OK    bool
}

func keyOf(i int) actor.StateKey {
	return actor.StateKey{Address: actor.Address{Type: actor.TypeName{Namespace: "n", Name: "t"}, ID: fmt.Sprintf("id %d.*>", i)}}
}

// readAll reads keys together, and returns the answers in their order.
func readAll(t *testing.T, s actor.StateStore, keys ...actor.StateKey) []answer {
	t.Helper()
	reader, ok := s.(actor.StateReader)
	if !ok {
		t.Fatal("the store is no StateReader")
	}
	type told struct {
		i int
		answer
	}
	answers := make(chan told, 2*len(keys))
	for i, k := range keys {
		reader.Read(k, func(l actor.LoadedState, ok bool) { answers <- told{i, answer{l, ok}} })
	}
	out := make([]answer, len(keys))
	for range keys {
		got := <-answers
		out[got.i] = got.answer
	}
	return out
}

func put(t *testing.T, s actor.StateStore, k actor.StateKey, r actor.StateRecord, revision uint64) uint64 {
	t.Helper()
	done := make(chan actor.WriteResult, 1)
	s.Write(k, r, revision, func(res actor.WriteResult) { done <- res })
	res := <-done
	if res.Outcome != actor.Stored {
		t.Fatalf("write of %s: %+v", k, res)
	}
	return res.Seq
}

func TestRecordsReadTogetherAreThoseReadOneByOne(t *testing.T) {
	t.Parallel()
	store, js := openWith(t, kvstate.Config{Alone: true})
	s := store.Partition(0)
	const keys = 700 // several requests
	var all []actor.StateKey
	for i := range keys {
		all = append(all, keyOf(i))
		if i%3 == 0 {
			continue // never written
		}
		revision := put(t, s, keyOf(i), count(uint64(i)), 0)
		if i%5 == 0 {
			put(t, s, keyOf(i), actor.StateRecord{Epoch: 1, Commit: keys + uint64(i)}, revision) // removed
		}
	}
	entry := actor.StateKey{Address: keyOf(1).Address, Entry: "table/key"}
	put(t, s, entry, count(1), 0)
	all = append(all, entry)
	if _, err := js.Publish(t.Context(), "$KV.app_state."+keyOf(4).Key(), []byte("foreign")); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, s, all...)
	for i, k := range all {
		want, err := s.Load(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if i == 4 { // foreign: Load tells
			if got[i].OK {
				t.Errorf("read of %s, where somebody else has written: %+v, want it left to Load", k, got[i])
			}
			continue
		}
		if diff := cmp.Diff(answer{want, true}, got[i]); diff != "" {
			t.Errorf("read of %s with others (-alone +got):\n%s", k, diff)
		}
	}
}

func TestAKeyAskedForTwiceIsAnsweredTwice(t *testing.T) {
	t.Parallel()
	store, _ := openWith(t, kvstate.Config{Alone: true})
	s := store.Partition(0)
	put(t, s, keyOf(1), count(1), 0)
	got := readAll(t, s, keyOf(0), keyOf(1), keyOf(1), keyOf(2), keyOf(2))
	for i, a := range got {
		there := i == 1 || i == 2
		if a.OK && (a.State.Record != nil) != there {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
	if !got[0].OK || !got[2].OK || !got[4].OK {
		t.Errorf("answers %+v, want at least one for each key", got)
	}
}

// A server that is none of ours, or a future one, may say anything.
func TestARecordIsAbsentOnlyWhereAllThatAreThereCame(t *testing.T) {
	t.Parallel()
	message := func(commit uint64) *nats.Msg {
		k := keyOf(1).Key()
		data, err := kvstate.Encode(k, count(commit))
		if err != nil {
			t.Fatal(err)
		}
		return &nats.Msg{Data: data, Header: nats.Header{
			jetstream.SubjectHeader: {"$KV.app_state." + k}, jetstream.SequenceHeader: {"9"}, "Jetfn-Commit": {strconv.FormatUint(commit, 10)},
		}}
	}
	status := func(code, description string) *nats.Msg {
		return &nats.Msg{Header: nats.Header{"Status": {code}, "Description": {description}}}
	}
	end := func(pending string) *nats.Msg {
		m := status("204", "EOB")
		m.Header["Nats-Num-Pending"] = []string{pending}
		return m
	}
	for name, tt := range map[string]struct {
		says []*nats.Msg
		want []bool // whether the read of key 1 and that of key 2 are good
	}{
		"all":                   {[]*nats.Msg{message(3), end("0")}, []bool{true, true}},
		"some, and not the end": {[]*nats.Msg{message(3), end("1")}, []bool{true, false}},
		"one that is broken":    {[]*nats.Msg{message(3), status("404", "Message Not Found")}, []bool{true, false}},
		"too many":              {[]*nats.Msg{status("413", "Too Many Results")}, []bool{false, false}},
		"an error":              {[]*nats.Msg{status("500", "closed")}, []bool{false, false}},
		"what nobody knows":     {[]*nats.Msg{{Data: []byte("?")}}, []bool{false, false}},
		"none":                  {[]*nats.Msg{status("404", "No Results")}, []bool{true, true}},
		"nobody":                {nil, []bool{false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, js := openWith(t, kvstate.Config{Alone: true})
			stream, err := js.Stream(t.Context(), "KV_app_state")
			if err != nil {
				t.Fatal(err)
			}
			cfg := stream.CachedInfo().Config
			cfg.AllowDirect = false // so that only we answer
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			asked := make(chan struct{})
			if tt.says != nil {
				nc := js.Conn()
				first := true
				if _, err := nc.Subscribe("$JS.API.DIRECT.GET.KV_app_state", func(m *nats.Msg) {
					if first { // what is asked for meanwhile goes together
						first = false
						<-asked
						_ = nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: end("0").Header})
						return
					}
					for _, says := range tt.says {
						_ = nc.PublishMsg(&nats.Msg{Subject: m.Reply, Header: says.Header, Data: says.Data})
					}
				}); err != nil {
					t.Fatal(err)
				}
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			reader := store.Partition(0).(actor.StateReader)
			answers := [3]chan answer{}
			for i := range answers {
				answers[i] = make(chan answer, 2)
				reader.Read(keyOf(i), func(l actor.LoadedState, ok bool) { answers[i] <- answer{l, ok} })
			}
			close(asked)
			if first := <-answers[0]; first.OK != (tt.says != nil) {
				t.Errorf("the read that went alone: %+v", first)
			}
			for i, want := range tt.want {
				got := <-answers[i+1]
				if got.OK != want {
					t.Errorf("read of key %d: %+v, want it good: %t", i+1, got, want)
				}
				if has := got.State.Record != nil; has != (i == 0 && want && len(tt.says) == 2) {
					t.Errorf("read of key %d: has a record: %t", i+1, has)
				}
			}
		})
	}
}

func TestReadsEndWithTheStore(t *testing.T) {
	t.Parallel()
	store, _ := openWith(t, kvstate.Config{Alone: true})
	s := store.Partition(0)
	store.Close()
	for i, a := range readAll(t, s, keyOf(1), keyOf(2)) {
		if a.OK {
			t.Errorf("answer %d of a closed store: %+v", i, a)
		}
	}
}

func TestABucketWithPeersIsNotReadTogether(t *testing.T) {
	t.Parallel()
	store, _ := openWith(t, kvstate.Config{})
	if _, ok := store.Partition(0).(actor.StateReader); ok {
		t.Error("direct reads, which a replica that lags behind may answer")
	}
}
