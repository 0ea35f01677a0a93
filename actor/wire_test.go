package actor

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestNestedMessagesHaveTheirLengthInFront(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 126, 127, 128, 129, 16_383, 16_384, 1 << 21} {
		content := bytes.Repeat([]byte("x"), size)
		nested := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), content)
		want := protowire.AppendBytes(protowire.AppendTag([]byte("before"), 1, protowire.BytesType), nested)
		want = append(want, "behind"...)

		w := fieldWriter{b: []byte("before")}
		w.message(1, func(w *fieldWriter) {
			w.message(2, func(w *fieldWriter) { w.b = append(w.b, content...) })
		})
		w.b = append(w.b, "behind"...)
		if !bytes.Equal(w.b, want) {
			t.Errorf("a message of %d bytes in another is written as\n%.40x, want\n%.40x", size, w.b, want)
		}
	}
}
