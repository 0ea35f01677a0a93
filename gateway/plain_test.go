package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const plainHead = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"

// plainAnswers are answers that are read by hand.
func plainAnswers() map[string]string {
	return map[string]string{
		"Go's":           plainHead + "Date: Thu, 26 Nov 2026 08:00:00 GMT\r\nContent-Length: 3\r\n\r\nabc",
		"without a body": plainHead + "Content-Length: 0\r\n\r\n",
		"Node's":         "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\ncontent-length: 1\r\n\r\n\n",
		"no reason":      "HTTP/1.1 200 \r\nContent-Length:2\r\nCONTENT-TYPE:\tapplication/octet-stream \r\n\r\n\r\n",
	}
}

// otherAnswers are those that the standard library has to read.
func otherAnswers() map[string]string {
	return map[string]string{
		"nothing":                 "",
		"half a header":           plainHead + "Content-Le",
		"no end of the header":    plainHead + "Content-Length: 0\r\n",
		"half a body":             plainHead + "Content-Length: 4\r\n\r\nabc",
		"more than a body":        plainHead + "Content-Length: 2\r\n\r\nabc",
		"no length":               plainHead + "\r\nabc",
		"two lengths":             plainHead + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"a signed length":         plainHead + "Content-Length: +3\r\n\r\nabc",
		"chunked":                 plainHead + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"chunked with a length":   plainHead + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
		"the same, hidden":        plainHead + "Content-Length: 3\r\nTransfer-Encoding : chunked\r\n\r\nabc",
		"the same, in the status": "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc",
		"the same, in a value":    plainHead + "X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
		"continued line":          plainHead + "X-A: b\r\n c: d\r\nContent-Length: 3\r\n\r\nabc",
		"compressed":              plainHead + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
		"to be closed":            plainHead + "Connection: close\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.0":                "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n",
		"another status":          "HTTP/1.1 500 Oops\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n",
		"another type":            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nabc",
		"no type":                 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"two types":               plainHead + "Content-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc",
	}
}

func TestOrdinaryAnswersAreReadByHand(t *testing.T) {
	t.Parallel()
	for name, answer := range plainAnswers() {
		if !sameBody(t, []byte(answer)) {
			t.Errorf("an answer that is %s is left to the standard library", name)
		}
	}
}

func TestAnswersThatSayMoreAreLeftToTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for name, answer := range otherAnswers() {
		if sameBody(t, []byte(answer)) {
			t.Errorf("an answer that is %s is read by hand", name)
		}
	}
}

func FuzzAPlainAnswerIsWhatTheStandardLibraryReads(f *testing.F) {
	for _, answers := range []map[string]string{plainAnswers(), otherAnswers()} {
		for _, answer := range answers {
			f.Add([]byte(answer))
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte) { sameBody(t, answer) })
}

// sameBody compares both readings of an answer, and says whether it is plain.
func sameBody(t *testing.T, answer []byte) bool {
	t.Helper()
	got, ok := plainAnswer(answer)
	if !ok {
		return false
	}
	in := bufio.NewReader(bytes.NewReader(answer))
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
	if err != nil {
		t.Fatalf("%q is taken for plain; the standard library says %v", answer, err)
	}
	defer func() { _ = resp.Body.Close() }()
	want, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the body of %q is %q, want %q, %v", answer, got, want, err)
	}
	coded := resp.Header.Get("Content-Encoding") != ""
	if resp.StatusCode != http.StatusOK || resp.Close || coded || in.Buffered() > 0 || resp.Header.Get("Content-Type") != contentType {
		t.Fatalf("%q is taken for plain; the standard library reads %+v and leaves %d bytes", answer, resp, in.Buffered())
	}
	return true
}

func TestAHeaderOfACallIsOneLine(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	header := callHeader{}
	header.add("Tracestate", " a=1\r\nX-Evil: 1\n\nPOST / HTTP/1.1")
	if err := writeCall(w, []byte("POST /fn HTTP/1.1\r\nHost: h\r\n"), header, []byte("body")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || string(body) != "body" || len(req.Header) != 2 || !strings.HasPrefix(req.Header.Get("Tracestate"), "a=1  X-Evil") {
		t.Errorf("the function reads %v and %q, %v", req.Header, body, err)
	}
}
