package actortest

import (
	"errors"
	"fmt"
	"sort"
	"strconv"

	"github.com/jetfn/jetfn/actor"
)

// memoryLog is a stream: entries with increasing sequences, each under a key.
type memoryLog struct {
	last   uint64
	keys   map[string][]memoryEntry
	newest map[string]uint64 // by key, of what is there
}

type memoryEntry struct {
	seq  uint64
	item any
}

func newMemoryLog() *memoryLog {
	return &memoryLog{keys: map[string][]memoryEntry{}, newest: map[string]uint64{}}
}

func (l *memoryLog) append(key string, item any) uint64 {
	l.last++
	l.keys[key] = append(l.keys[key], memoryEntry{l.last, item})
	l.newest[key] = l.last
	return l.last
}

var errWrongLast = errors.New("wrong last sequence")

// appendAfter appends if the last entry under guard is at expected.
func (l *memoryLog) appendAfter(key string, item any, guard string, expected uint64) actor.WriteResult {
	if last := l.newest[guard]; last != expected {
		return actor.WriteResult{Outcome: actor.Rejected, Seq: last, Err: fmt.Errorf("%w: %d", errWrongLast, last)}
	}
	return actor.WriteResult{Outcome: actor.Stored, Seq: l.append(key, item)}
}

// from returns the first entry at or above seq with the key, or any if empty.
func (l *memoryLog) from(seq uint64, key string) (first memoryEntry, ok bool) {
	if key != "" {
		list := l.keys[key]
		i := below(list, seq)
		if i == len(list) {
			return memoryEntry{}, false
		}
		return list[i], true
	}
	for key := range l.keys {
		if e, found := l.from(seq, key); found && (!ok || e.seq < first.seq) {
			first, ok = e, true
		}
	}
	return first, ok
}

// below counts the entries of list with sequences below seq.
func below(list []memoryEntry, seq uint64) int {
	return sort.Search(len(list), func(i int) bool { return list[i].seq >= seq })
}

// latest returns the last entry with the key.
func (l *memoryLog) latest(key string) (memoryEntry, bool) {
	seq, ok := l.newest[key]
	if !ok {
		return memoryEntry{}, false
	}
	return l.from(seq, key)
}

// purge removes the entries with the key below before.
func (l *memoryLog) purge(key string, before uint64) {
	list := l.keys[key]
	list = list[below(list, before):]
	if len(list) == 0 {
		delete(l.keys, key)
		delete(l.newest, key)
		return
	}
	l.keys[key] = list
}

// loseEnd removes what is behind last.
func (l *memoryLog) loseEnd(last uint64) {
	l.last = min(l.last, last)
	for key, list := range l.keys {
		list = list[:below(list, last+1)]
		if len(list) == 0 {
			delete(l.keys, key)
			delete(l.newest, key)
			continue
		}
		l.keys[key], l.newest[key] = list, list[len(list)-1].seq
	}
}

func itoa(p int) string { return strconv.Itoa(p) }
