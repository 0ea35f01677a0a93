package gateway

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// acceptEncoding is what decompressed understands.
const acceptEncoding = "gzip,deflate"

// decompressed returns resp's body without the coding of its header. The
// connection is kept once the body was read to its end. After an error it is
// a body of nothing.
func decompressed(resp *http.Response, body io.Reader) (io.Reader, error) {
	coding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding")))
	switch coding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return &inflating{compressed: body, open: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }}, nil
	case "deflate":
		return &inflating{compressed: body, open: openDeflate}, nil
	}
	return http.NoBody, fmt.Errorf("the answer's content encoding is %q, want gzip, deflate or none", excerpt([]byte(coding)))
}

// openDeflate reads what HTTP calls deflate: zlib by the standard, and bare
// deflate by what some servers make of it.
func openDeflate(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(2)
	if err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// inflating decompresses. The header is read with the first byte, since a
// body of no bytes has none.
type inflating struct {
	compressed io.Reader
	open       func(io.Reader) (io.Reader, error)
	reader     io.Reader
	err        error
}

func (f *inflating) Read(p []byte) (int, error) {
	if f.reader == nil && f.err == nil {
		f.begin()
	}
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.reader.Read(p)
	if errors.Is(err, io.EOF) {
		_, _ = f.compressed.Read(make([]byte, 1)) // see the end, so that the connection is kept
	}
	return n, err //nolint:wrapcheck // io.EOF has to stay itself
}

func (f *inflating) begin() {
	b := bufio.NewReader(f.compressed)
	if _, err := b.Peek(1); err != nil {
		f.err = err
		return
	}
	f.reader, f.err = f.open(b)
	if errors.Is(f.err, io.EOF) {
		f.err = io.ErrUnexpectedEOF
	}
}
