package actor

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// formatVersion is the version of journal records. Readers refuse others.
const formatVersion = 1

// recordKind says what a journal record's body is.
type recordKind uint8

const (
	kindOpen       recordKind = 1 // a new owner; no body
	kindCommit     recordKind = 2
	kindCheckpoint recordKind = 3
	kindPart       recordKind = 4 // a piece of a commit or checkpoint too large for one record
)

func (k recordKind) String() string {
	switch k {
	case kindOpen:
		return "open"
	case kindCommit:
		return "commit"
	case kindCheckpoint:
		return "checkpoint"
	case kindPart:
		return "part"
	}
	return fmt.Sprintf("kind %d", k)
}

// recordID identifies a record among all that were ever tried: the writer's
// incarnation and a counter of its own (PROTOCOL J3).
type recordID struct{ incarnation, n uint64 }

// record is one record of a partition's journal.
type record struct {
	kind    recordKind
	id      recordID
	epoch   uint64
	commit  uint64 // number of the newest commit up to and including this record
	prevSeq uint64 // stream sequence of the record before; zero for the first
	prevSum uint64 // checksum of the record before
	// checkpoint is where the newest complete checkpoint before this record
	// begins, zero if there is none; in a checkpoint's last part, where that
	// checkpoint begins.
	checkpoint uint64
	time       int64 // Unix milliseconds
	part       int   // kindPart: index, from 0
	parts      int   // kindPart: how many
	partOf     recordKind
	body       []byte
}

// stray reports whether data is no record of ours but JSON. Whoever may publish
// to a stream can have the server put its answer into a journal, by naming the
// journal's subject as the reply's; permissions don't hold the server back.
// No record begins like that.
func stray(data []byte) bool { return len(data) > 0 && data[0] == '{' }

func checksum(data []byte) uint64 { return xxhash.Sum64(data) }

func (r *record) encode() []byte {
	w := fieldWriter{b: make([]byte, 0, len(r.body)+128)}
	w.uint(1, formatVersion)
	w.uint(2, uint64(r.kind))
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], r.id.incarnation)
	binary.BigEndian.PutUint64(id[8:], r.id.n)
	w.bytes(3, id[:])
	w.uint(4, r.epoch)
	w.uint(5, r.commit)
	w.uint(6, r.prevSeq)
	w.fixed(7, r.prevSum)
	w.uint(8, r.checkpoint)
	w.int64(9, r.time)
	w.int(10, r.part)
	w.int(11, r.parts)
	w.uint(12, uint64(r.partOf))
	w.bytes(15, r.body)
	return w.b
}

func decodeRecord(data []byte) (*record, error) {
	r := &record{}
	version := uint64(0)
	err := readFields(data, func(f *field) error {
		switch f.num {
		case 1:
			version = f.v
		case 2:
			r.kind = recordKind(f.v)
		case 3:
			if len(f.data) != 16 {
				return errTruncated
			}
			r.id = recordID{binary.BigEndian.Uint64(f.data), binary.BigEndian.Uint64(f.data[8:])}
		case 4:
			r.epoch = f.v
		case 5:
			r.commit = f.v
		case 6:
			r.prevSeq = f.v
		case 7:
			r.prevSum = f.v
		case 8:
			r.checkpoint = f.v
		case 9:
			r.time = f.int64()
		case 10:
			r.part = f.int()
		case 11:
			r.parts = f.int()
		case 12:
			r.partOf = recordKind(f.v)
		case 15:
			r.body = f.data
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("decode journal record: %w", err)
	case version != formatVersion:
		return nil, fmt.Errorf("decode journal record: format version %d, this program reads %d", version, formatVersion)
	case r.kind < kindOpen || r.kind > kindPart:
		return nil, fmt.Errorf("decode journal record: unknown kind %d", r.kind)
	}
	return r, nil
}
