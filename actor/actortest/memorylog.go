package actortest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jetfn/jetfn/actor"
)

// memoryLog is a stream: entries with increasing sequences, each under a key.
type memoryLog struct {
	last    uint64
	entries []memoryEntry
	newest  map[string]uint64 // by key, of what is there
}

type memoryEntry struct {
	seq  uint64
	key  string
	item any
}

func newMemoryLog() *memoryLog { return &memoryLog{newest: map[string]uint64{}} }

func (l *memoryLog) append(key string, item any) uint64 {
	l.last++
	l.entries = append(l.entries, memoryEntry{l.last, key, item})
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
func (l *memoryLog) from(seq uint64, key string) (memoryEntry, bool) {
	i, _ := slices.BinarySearchFunc(l.entries, seq, func(e memoryEntry, seq uint64) int {
		switch {
		case e.seq < seq:
			return -1
		case e.seq > seq:
			return 1
		}
		return 0
	})
	for ; i < len(l.entries); i++ {
		if key == "" || l.entries[i].key == key {
			return l.entries[i], true
		}
	}
	return memoryEntry{}, false
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
	l.entries = slices.DeleteFunc(l.entries, func(e memoryEntry) bool { return e.key == key && e.seq < before })
	if l.newest[key] < before {
		delete(l.newest, key)
	}
}

func itoa(p int) string { return strconv.Itoa(p) }
