package main

import "slices"

// diffContext is how many equal lines are shown around those that differ.
const diffContext = 2

// diffLines are the lines of both that differ, after "-" and "+", with some
// equal ones around them after a blank. "…" stands for equal lines left out.
func diffLines(a, b []string) []string {
	if slices.Equal(a, b) {
		return nil
	}
	head, tail := 0, 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	all := equal(nil, a[:head])
	all = compared(all, a[head:len(a)-tail], b[head:len(b)-tail])
	return abridged(equal(all, a[len(a)-tail:]))
}

func equal(all, lines []string) []string {
	for _, l := range lines {
		all = append(all, " "+l)
	}
	return all
}

// compared adds the lines of both, in order.
func compared(all, a, b []string) []string {
	common := commonLengths(a, b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, " "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			all = append(all, "-"+a[i])
			i++
		default:
			all = append(all, "+"+b[j])
			j++
		}
	}
	return all
}

// commonLengths are the lengths of the longest common subsequences of what
// remains of a and b from each pair of places on.
func commonLengths(a, b []string) [][]int {
	out := make([][]int, len(a)+1)
	for i := range out {
		out[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				out[i][j] = out[i+1][j+1] + 1
			} else {
				out[i][j] = max(out[i+1][j], out[i][j+1])
			}
		}
	}
	return out
}

// abridged leaves out equal lines that are far from all others.
func abridged(lines []string) []string {
	near := make([]bool, len(lines))
	for i, l := range lines {
		if l[0] == ' ' {
			continue
		}
		for n := max(i-diffContext, 0); n <= min(i+diffContext, len(lines)-1); n++ {
			near[n] = true
		}
	}
	var out []string
	for i, l := range lines {
		switch {
		case near[i]:
			out = append(out, l)
		case i == 0 || near[i-1]:
			out = append(out, "…")
		}
	}
	return out
}
