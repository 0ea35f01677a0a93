package actor

import (
	"fmt"
	"strings"
)

// emptyToken stands for an empty part: NATS has no empty tokens.
const emptyToken = "="

const upperHex = "0123456789ABCDEF"

// Escape makes any text one NATS subject token that is also a legal KV key
// part: bytes outside A-Z a-z 0-9 _ - become =XX with upper-case hex digits,
// and the empty text becomes "=".
func Escape(s string) string {
	if s == "" {
		return emptyToken
	}
	n := 0
	for i := range len(s) {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2*n)
	for i := range len(s) {
		c := s[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// escapedLen is the length of Escape(s).
func escapedLen(s string) int {
	if s == "" {
		return len(emptyToken)
	}
	n := len(s)
	for i := range len(s) {
		if !plain(s[i]) {
			n += 2
		}
	}
	return n
}

// Unescape is the inverse of Escape. It accepts tokens that are not canonical,
// such as a raw byte that Escape would have escaped, and refuses broken =XX
// sequences.
func Unescape(token string) (string, error) {
	if token == emptyToken {
		return "", nil
	}
	if !strings.Contains(token, "=") {
		return token, nil
	}
	var b strings.Builder
	b.Grow(len(token))
	for i := 0; i < len(token); i++ {
		if token[i] != '=' {
			b.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("token %q ends inside an =XX escape", token)
		}
		hi, lo := unhex(token[i+1]), unhex(token[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("token %q has %q where =XX is expected", token, token[i:i+3])
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

// PartitionOf is the partition, of n, that owns every address with this id:
// FNV-1a over the escaped id, which is what the server's {{partition(n,3)}}
// computes for the same subject token.
func PartitionOf(id string, n int) int {
	const offset, prime = 2166136261, 16777619
	h := uint32(offset)
	token := Escape(id)
	for i := range len(token) {
		h = (h ^ uint32(token[i])) * prime
	}
	return int(h % uint32(n))
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
