package sdk

import (
	"cmp"
	"fmt"
	"strconv"
)

// Key is how keys of a table are written: as text that sorts as the keys do.
type Key[K any] struct {
	format func(K) string
	parse  func(string) (K, error)
}

// NewKey is a Key of one's own. The texts of format must sort, byte by byte,
// as the keys do; parse reads them back.
func NewKey[K any](format func(K) string, parse func(string) (K, error)) Key[K] {
	return Key[K]{format: format, parse: parse}
}

// StringKey is text as it is.
func StringKey() Key[string] {
	return Key[string]{
		format: func(k string) string { return k },
		parse:  func(s string) (string, error) { return s, nil },
	}
}

// Int64Key is whole numbers, the negative ones first. It writes them as
// sixteen hex digits, those of zero as 8000000000000000.
func Int64Key() Key[int64] {
	const flip = 1 << 63
	return Key[int64]{
		format: func(k int64) string { return fmt.Sprintf("%016x", uint64(k)^flip) },
		parse: func(s string) (int64, error) {
			u, err := strconv.ParseUint(s, 16, 64)
			if err != nil || len(s) != 16 {
				return 0, fmt.Errorf("%q is no key of a number", s)
			}
			return int64(u ^ flip), nil
		},
	}
}

// byText compares positions in the order of keys.
func byText(a, b string) int { return cmp.Compare(a, b) }
