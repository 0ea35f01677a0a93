package kvstate

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jetfn/jetfn/actor"
)

// Version is the format of the records that Encode writes.
const Version = 1

// ErrForeign means that a value is not a record which Encode wrote for its key.
var ErrForeign = errors.New("not a record of jetfn for this key")

// ErrNewer means that a newer jetfn wrote a record.
var ErrNewer = errors.New("written by a newer jetfn; use that one")

// record is the JSON form, for reading it. The order of the fields is part of
// the format.
type record struct {
	V         int              `json:"v"`
	Partition int              `json:"partition"`
	Epoch     uint64           `json:"epoch"`
	Commit    uint64           `json:"commit"`
	CRC       string           `json:"crc"`
	Values    map[string]value `json:"values"` // encoded in the order of the names
}

type value struct {
	Type      string `json:"type"`
	Value     []byte `json:"value"`
	WrittenAt int64  `json:"writtenAt"`
	ExpiresAt int64  `json:"expiresAt,omitempty"`
}

// zeroCRC stands for the checksum while it is computed.
const zeroCRC = "00000000"

// Encode returns the record's value for key. Equal records have equal bytes:
// JSON without blanks, the fields in the order of
//
//	{"v":1,"partition":5,"epoch":2,"commit":77,"crc":"9a3b01ff","values":{"seen":{"type":"…","value":"…base64…","writtenAt":1730000000000,"expiresAt":1730000060000}}}
//
// values sorted by name, expiresAt left out if the value never expires.
// crc is the CRC-32C (Castagnoli), in eight lower-case hex digits, of the key,
// a zero byte, and the JSON with "00000000" in place of the checksum. So a
// record that was copied to another key is recognised too.
func Encode(key string, r actor.StateRecord) ([]byte, error) {
	values := r.State
	if !slices.IsSortedFunc(values, byName) {
		values = slices.SortedFunc(slices.Values(values), byName)
	}
	size := 128
	for i := range values {
		v := &values[i]
		if !utf8.ValidString(v.Name) || !utf8.ValidString(v.Value.Type) {
			return nil, fmt.Errorf("encode state %q of %s: its name and type must be valid UTF-8", v.Name, key)
		}
		if i > 0 && values[i-1].Name == v.Name {
			return nil, fmt.Errorf("encode state of %s: %q is in it twice", key, v.Name)
		}
		size += len(v.Name) + len(v.Value.Type) + base64.StdEncoding.EncodedLen(len(v.Value.Data)) + 96
	}
	data, at := appendHead(make([]byte, 0, size), &r)
	for i := range values {
		if i > 0 {
			data = append(data, ',')
		}
		var err error
		if data, err = appendValue(data, &values[i]); err != nil {
			return nil, fmt.Errorf("encode state of %s: %w", key, err)
		}
	}
	data = append(data, "}}"...)
	sum := binary.BigEndian.AppendUint32(nil, checksum(key, data))
	hex.Encode(data[at:], sum)
	return data, nil
}

func byName(a, b actor.StateValue) int { return strings.Compare(a.Name, b.Name) }

// appendHead appends all that comes before the first value. The checksum is at
// crc, and zero.
func appendHead(b []byte, r *actor.StateRecord) (head []byte, crc int) {
	b = strconv.AppendInt(append(b, `{"v":`...), Version, 10)
	b = strconv.AppendInt(append(b, `,"partition":`...), int64(r.Partition), 10)
	b = strconv.AppendUint(append(b, `,"epoch":`...), r.Epoch, 10)
	b = strconv.AppendUint(append(b, `,"commit":`...), r.Commit, 10)
	b = append(b, `,"crc":"`...)
	return append(b, zeroCRC+`","values":{`...), len(b)
}

func appendValue(b []byte, v *actor.StateValue) ([]byte, error) {
	b, err := appendText(b, v.Name)
	if err != nil {
		return nil, err
	}
	if b, err = appendText(append(b, `:{"type":`...), v.Value.Type); err != nil {
		return nil, err
	}
	b = base64.StdEncoding.AppendEncode(append(b, `,"value":"`...), v.Value.Data)
	b = strconv.AppendInt(append(b, `","writtenAt":`...), v.WrittenAt, 10)
	if v.ExpiresAt != 0 {
		b = strconv.AppendInt(append(b, `,"expiresAt":`...), v.ExpiresAt, 10)
	}
	return append(b, '}'), nil
}

// appendText appends a JSON string, as encoding/json writes it without the
// escapes for HTML.
func appendText(b []byte, text string) ([]byte, error) {
	escaped := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
	if strings.ContainsFunc(text, escaped) {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		err := e.Encode(text)
		return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...), err
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"'), nil
}

// Decode reads what Encode wrote for key. Any other value is ErrForeign, and
// one of a newer format ErrNewer, both wrapped.
func Decode(key string, data []byte) (actor.StateRecord, error) {
	var in record
	if err := json.Unmarshal(data, &in); err != nil {
		return actor.StateRecord{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if in.V > Version && in.CRC != "" {
		return actor.StateRecord{}, fmt.Errorf("state record in format %d: %w", in.V, ErrNewer)
	}
	r := actor.StateRecord{Partition: in.Partition, Epoch: in.Epoch, Commit: in.Commit}
	if len(in.Values) > 0 {
		r.State = make(actor.State, 0, len(in.Values))
	}
	for name, v := range in.Values {
		r.State = append(r.State, actor.StateValue{
			Name: name, Value: actor.Value{Type: v.Type, Data: v.Value}, WrittenAt: v.WrittenAt, ExpiresAt: v.ExpiresAt,
		})
	}
	slices.SortFunc(r.State, byName)
	again, err := Encode(key, r)
	if err != nil {
		return actor.StateRecord{}, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	if !bytes.Equal(again, data) {
		return actor.StateRecord{}, fmt.Errorf("%w: its checksum or form is not ours", ErrForeign)
	}
	return r, nil
}

// checksum expects data with zeroCRC in it.
func checksum(key string, data []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, []byte(key))
	sum = crc32.Update(sum, table, []byte{0})
	return crc32.Update(sum, table, data)
}
