package kvstate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/kvstate"
)

const key = "ns.fn.a=20b"

func sample() actor.StateRecord {
	var s actor.State
	s = s.With(actor.StateValue{Name: "seen", Value: actor.Value{Type: "io.statefun.types/int", Data: []byte{8, 3}}, WrittenAt: 1700000000123})
	s = s.With(actor.StateValue{Name: "<grüße>\n", Value: actor.Value{Type: "a/b"}, WrittenAt: 1, ExpiresAt: 1700000060123})
	return actor.StateRecord{State: s, Partition: 5, Epoch: 2, Commit: 77}
}

// The file was written by format 1 and must be readable, and written the
// same, as long as it lives.
func TestRecordFormatStaysTheSame(t *testing.T) {
	t.Parallel()
	got, err := kvstate.Encode(key, sample())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/record-v1.json")
	if err != nil {
		t.Fatalf("%v; now %s", err, got)
	}
	want = bytes.TrimSpace(want)
	if !bytes.Equal(got, want) {
		t.Errorf("Encode = %s\nwant %s", got, want)
	}
	r, err := kvstate.Decode(key, want)
	if diff := cmp.Diff(sample(), r, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("Decode = %v (-want +got):\n%s", err, diff)
	}
}

func TestRecordsSurviveEncodingByteForByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := actor.StateRecord{Partition: rapid.IntRange(0, 4095).Draw(t, "partition"), Epoch: rapid.Uint64().Draw(t, "epoch"), Commit: rapid.Uint64().Draw(t, "commit")}
		for range rapid.IntRange(0, 5).Draw(t, "values") {
			r.State = r.State.With(actor.StateValue{
				Name:      rapid.String().Draw(t, "name"),
				Value:     actor.Value{Type: rapid.String().Draw(t, "type"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")},
				WrittenAt: rapid.Int64().Draw(t, "writtenAt"), ExpiresAt: rapid.Int64().Draw(t, "expiresAt"),
			})
		}
		data, err := kvstate.Encode(key, r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := kvstate.Decode(key, data)
		if diff := cmp.Diff(r, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("Decode = %v (-want +got):\n%s", err, diff)
		}
		again, err := kvstate.Encode(key, got)
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("encoded again = %s, %v, want %s", again, err, data)
		}
	})
}

// Format 1 is what encoding/json made of these, without escapes for HTML.
func TestRecordsAreWrittenAsEncodingJSONWritesThem(t *testing.T) {
	t.Parallel()
	type value struct {
		Type      string `json:"type"`
		Value     []byte `json:"value"`
		WrittenAt int64  `json:"writtenAt"`
		ExpiresAt int64  `json:"expiresAt,omitempty"`
	}
	type record struct {
		V         int              `json:"v"`
		Partition int              `json:"partition"`
		Epoch     uint64           `json:"epoch"`
		Commit    uint64           `json:"commit"`
		CRC       string           `json:"crc"`
		Values    map[string]value `json:"values"`
	}
	crc := regexp.MustCompile(`"crc":"([0-9a-f]{8})"`)
	rapid.Check(t, func(t *rapid.T) {
		r := actor.StateRecord{Partition: rapid.IntRange(0, 4095).Draw(t, "partition"), Epoch: rapid.Uint64().Draw(t, "epoch"), Commit: rapid.Uint64().Draw(t, "commit")}
		want := record{V: 1, Partition: r.Partition, Epoch: r.Epoch, Commit: r.Commit, Values: map[string]value{}}
		for _, name := range rapid.SliceOfNDistinct(rapid.String(), 0, 5, rapid.ID[string]).Draw(t, "names") { // in any order
			v := value{rapid.String().Draw(t, "type"), rapid.SliceOf(rapid.Byte()).Draw(t, "data"), rapid.Int64().Draw(t, "writtenAt"), rapid.Int64().Draw(t, "expiresAt")}
			want.Values[name] = v
			r.State = append(r.State, actor.StateValue{
				Name: name, Value: actor.Value{Type: v.Type, Data: v.Value}, WrittenAt: v.WrittenAt, ExpiresAt: v.ExpiresAt,
			})
		}
		got, err := kvstate.Encode(key, r)
		if err != nil {
			t.Fatal(err)
		}
		sum := crc.FindSubmatch(got)
		if sum == nil {
			t.Fatalf("%s has no checksum", got)
		}
		want.CRC = string(sum[1])
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(b.String(), "\n"), string(got)); diff != "" {
			t.Fatalf("(-encoding/json +Encode):\n%s", diff)
		}
	})
}

func TestWhatIsNotOursIsForeign(t *testing.T) {
	t.Parallel()
	good, err := kvstate.Encode(key, sample())
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, replacement string) string {
		s := strings.Replace(string(good), old, replacement, 1)
		if s == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return s
	}
	for name, c := range map[string]struct {
		key, data string
		want      error
	}{
		"empty":            {key, "", kvstate.ErrForeign},
		"text":             {key, "hello", kvstate.ErrForeign},
		"other JSON":       {key, `{"v":1}`, kvstate.ErrForeign},
		"another key":      {"ns.fn.other", string(good), kvstate.ErrForeign},
		"changed commit":   {key, replace(`"commit":77`, `"commit":78`), kvstate.ErrForeign},
		"changed value":    {key, replace(`"CAM="`, `"CAQ="`), kvstate.ErrForeign},
		"added blank":      {key, replace(`{"v":1,`, `{"v": 1,`), kvstate.ErrForeign},
		"added field":      {key, replace(`{"v":1,`, `{"v":1,"x":1,`), kvstate.ErrForeign},
		"blank at the end": {key, string(good) + "\n", kvstate.ErrForeign},
		"version 0":        {key, replace(`{"v":1,`, `{"v":0,`), kvstate.ErrForeign},
		"version 2":        {key, replace(`{"v":1,`, `{"v":2,`), kvstate.ErrNewer},
	} {
		if r, err := kvstate.Decode(c.key, []byte(c.data)); !errors.Is(err, c.want) {
			t.Errorf("%s: Decode = %+v, %v, want %v", name, r, err, c.want)
		}
	}
}

func TestEncodeRefusesWhatJSONCanNotHold(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]actor.State{
		"name":  {{Name: "\xff"}},
		"type":  {{Name: "a", Value: actor.Value{Type: "\xff"}}},
		"twice": {{Name: "a"}, {Name: "a"}},
	} {
		if data, err := kvstate.Encode(key, actor.StateRecord{State: s}); err == nil {
			t.Errorf("Encode of a bad %s = %s, want an error", name, data)
		}
	}
}

func FuzzDecode(f *testing.F) {
	good, err := kvstate.Encode(key, sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":1,"partition":0,"epoch":0,"commit":0,"crc":"00000000","values":{}}`))
	f.Add([]byte(`{"v":1,"values":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := kvstate.Decode(key, data)
		if err != nil {
			return
		}
		again, err := kvstate.Encode(key, r)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("Encode(Decode(%s)) = %s, %v", data, again, err)
		}
	})
}
