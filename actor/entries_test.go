package actor_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// tally counts each message's text in an entry of its own and emits
// "<text>=<count>". A text that begins with "!" is set to 100 without a look.
func tally(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	var missing []string
	for i := range b.Envelopes {
		word := string(b.Envelopes[i].Value.Data)
		if !strings.HasPrefix(word, "!") && !contains(b.Entries, "words/"+word) {
			missing = append(missing, "words/"+word)
		}
	}
	if len(missing) > 0 {
		return nil, &actor.MissingEntries{Names: missing}
	}
	e := &actor.Effects{}
	counts := map[string]int{}
	for i := range b.Envelopes {
		word, n := string(b.Envelopes[i].Value.Data), 99
		if strings.HasPrefix(word, "!") {
			word = word[1:]
		} else if _, again := counts[word]; again {
			n = counts[word]
		} else if s, ok := b.State.Get("words/" + word); ok {
			n, _ = strconv.Atoi(string(s.Value.Data))
		} else {
			n = 0
		}
		counts[word] = n + 1
		e.Egress = append(e.Egress, emit(word+"="+strconv.Itoa(n+1)).Egress...)
		e.Mutations = append(e.Mutations, actor.Mutation{Name: "words/" + word, Value: text(strconv.Itoa(n + 1))})
	}
	return e, nil
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}

func TestEntriesAreLoadedWhenAskedForAndStoredByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"tally": {Function: function(tally)}}
		memory := actortest.NewMemory()
		a := start(t, memory, functions)
		a.send(to("tally", "a"), "tea", "rum")
		time.Sleep(3 * time.Second) // flushed and checkpointed
		a.send(to("tally", "a"), "tea", "!gin")
		time.Sleep(10 * time.Millisecond) // durable, not flushed
		a.end()
		b := start(t, memory, functions)
		b.send(to("tally", "a"), "tea", "gin", "rum", "new")
		time.Sleep(3 * time.Second)
		b.want("egress", b.emitted(), []string{"tea=1", "rum=1", "tea=2", "gin=100", "tea=3", "gin=101", "rum=2", "new=1"})
		for word, want := range map[string]string{"tea": "3", "gin": "101", "rum": "2", "new": "1"} {
			key := actor.StateKey{Address: to("tally", "a"), Entry: "words/" + word}
			loaded, err := memory.Ports(0).State.Load(t.Context(), key)
			if err != nil || loaded.Record == nil {
				t.Fatalf("Load(%s) = %+v, %v", key, loaded, err)
			}
			if s, _ := loaded.Record.State.Get("words/" + word); string(s.Value.Data) != want {
				t.Errorf("stored %s = %s, want %s", key, s.Value.Data, want)
			}
		}
		loaded, err := memory.Ports(0).State.Load(t.Context(), actor.StateKey{Address: to("tally", "a")})
		if err != nil || loaded.Record != nil {
			t.Errorf("the address has a record of its own: %+v, %v", loaded.Record, err)
		}
		b.end()
	})
}

func TestAFunctionThatAsksForTheSameEntriesAgainFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask  func(b *actor.Batch) []string
		want string
	}{
		"the same":   {func(*actor.Batch) []string { return []string{"t/x"} }, "names none that it hasn't got"},
		"none":       {func(*actor.Batch) []string { return nil }, "names none that it hasn't got"},
		"no table":   {func(*actor.Batch) []string { return []string{"/x"} }, "its table or its key is empty"},
		"no key":     {func(*actor.Batch) []string { return []string{"t/"} }, "its table or its key is empty"},
		"too long":   {func(*actor.Batch) []string { return []string{"t/" + strings.Repeat("k", 4000)} }, "the limit is"},
		"ever more":  {func(b *actor.Batch) []string { return more(len(b.Entries), 9000) }, "asks for 27000 entries"},
		"not at all": {func(*actor.Batch) []string { return []string{"plain"} }, "its table or its key is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ask := func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
					return nil, &actor.MissingEntries{Names: c.ask(b)}
				}
				a := start(t, actortest.NewMemory(), catalog{"ask": {Function: function(ask)}})
				a.send(to("ask", "a"), "x")
				time.Sleep(time.Minute)
				letters := a.memory.DeadLetters()
				if len(letters) != 1 || !strings.Contains(letters[0].DeadLetter.Error, c.want) {
					t.Errorf("dead letters = %s, want one with %q", cmp.Diff(nil, letters), c.want)
				}
				a.end()
			})
		})
	}
}

func TestAMessageThatAnEarlierOwnerHadIsNoFirstAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var attempts []string
		stuck := true
		fn := func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
			if stuck {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			attempts = append(attempts, string(b.Envelopes[0].Value.Data)+" "+strconv.Itoa(b.Attempt))
			return nil, nil
		}
		functions := catalog{"f": {Function: function(fn), MaxBatch: 1}}
		memory := actortest.NewMemory()
		a := start(t, memory, functions)
		a.send(to("f", "a"), "old", "waiting")
		time.Sleep(time.Second)
		a.end() // its calls have ended
		stuck = false
		time.Sleep(time.Second)
		b := start(t, memory, functions)
		time.Sleep(time.Second)
		b.send(to("f", "a"), "new")
		time.Sleep(time.Second)
		synctest.Wait()
		b.want("attempts", attempts, []string{"old 2", "waiting 2", "new 1"})
		b.end()
	})
}

func more(from, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "t/" + strconv.Itoa(from+i)
	}
	return out
}
