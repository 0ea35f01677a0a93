package sdk

import (
	"slices"
	"strconv"
)

// A table's entries are found in order through pages, which are entries
// themselves: a tree of sorted keys. The page "0" is its root, and remembers
// which number the next page gets.
//
// maxPage is the most keys of a page before it is split.
const maxPage = 128

const pageType = "io.jetfn.types/table-page"

// page is a node of the tree. A leaf has keys of the table; another page has
// children, and under the same index the lowest key that each may hold.
type page struct {
	Keys     []string `json:"keys"`
	Children []int    `json:"children,omitempty"`
	Next     int      `json:"next,omitempty"` // of the root: number of the next new page
}

func (p *page) leaf() bool { return len(p.Children) == 0 }

// child is the index of the child that key belongs to.
func (p *page) child(key string) int {
	i, found := slices.BinarySearchFunc(p.Keys, key, byText)
	if found {
		return i
	}
	return max(i-1, 0)
}

// tree is a table's pages within one call.
type tree struct {
	in    *invocation
	table string
}

// spec names a page: below the table's name with a "~", which no table has.
func (t tree) spec(number int) StateSpec {
	return StateSpec{Name: "~" + t.table + "/" + strconv.Itoa(number), Type: pageType}
}

// page reads a page, or ends the call to ask for it. Its changes count once it
// is written.
func (t tree) page(number int) *page {
	c := t.in.cell(t.spec(number))
	if c.page != nil {
		return c.page
	}
	c.page = &page{}
	if c.present {
		p, err := JSON[*page](pageType).From(c.value)
		if err != nil {
			panic(t.in.stateError(t.table, err))
		}
		c.page = p
	}
	return c.page
}

func (t tree) write(number int, p *page) {
	c := t.in.change(t.spec(number))
	c.page, c.present = p, true
}

// step is a page on the way from the root to a leaf.
type step struct {
	number int
	page   *page
	child  int
}

// descend is the way to the leaf that key belongs to.
func (t tree) descend(key string) []step {
	way := []step{{page: t.page(0)}}
	for {
		at := &way[len(way)-1]
		if at.page.leaf() {
			return way
		}
		at.child = at.page.child(key)
		number := at.page.Children[at.child]
		way = append(way, step{number: number, page: t.page(number)})
	}
}

// insert adds a key, unless it is there.
func (t tree) insert(key string) {
	way := t.descend(key)
	leaf := way[len(way)-1]
	i, found := slices.BinarySearchFunc(leaf.page.Keys, key, byText)
	if found {
		return
	}
	leaf.page.Keys = slices.Insert(leaf.page.Keys, i, key)
	t.grown(way)
}

// grown writes the last page of a way, which has become larger, and splits it
// and those above it where they are too large.
func (t tree) grown(way []step) {
	for len(way) > 1 {
		at := way[len(way)-1]
		if len(at.page.Keys) <= maxPage {
			t.write(at.number, at.page)
			return
		}
		root := way[0].page
		right := at.page.split()
		number := root.number()
		t.write(at.number, at.page)
		t.write(number, right)
		way = way[:len(way)-1]
		above := way[len(way)-1]
		above.page.Keys = slices.Insert(above.page.Keys, above.child+1, right.Keys[0])
		above.page.Children = slices.Insert(above.page.Children, above.child+1, number)
		if len(way) > 1 {
			t.write(0, root) // it has given a number away
		}
	}
	root := way[0].page
	if len(root.Keys) > maxPage {
		t.raise(root)
	}
	t.write(0, root)
}

// raise moves what the root holds into two new pages below it.
func (t tree) raise(root *page) {
	left := &page{Keys: root.Keys, Children: root.Children}
	right := left.split()
	low := ""
	if !left.leaf() {
		low = left.Keys[0]
	}
	a, b := root.number(), root.number()
	t.write(a, left)
	t.write(b, right)
	root.Keys, root.Children = []string{low, right.Keys[0]}, []int{a, b}
}

// number hands the number of a new page out; p is the root.
func (p *page) number() int {
	p.Next++
	return p.Next
}

// split takes the upper half of p away and returns it.
func (p *page) split() *page {
	half := len(p.Keys) / 2
	right := &page{Keys: slices.Clone(p.Keys[half:])}
	p.Keys = slices.Clone(p.Keys[:half])
	if !p.leaf() {
		right.Children = slices.Clone(p.Children[half:])
		p.Children = slices.Clone(p.Children[:half])
	}
	return right
}

// remove takes a key away. Pages without keys stay, except the last.
func (t tree) remove(key string) {
	way := t.descend(key)
	leaf := way[len(way)-1]
	i, found := slices.BinarySearchFunc(leaf.page.Keys, key, byText)
	if !found {
		return
	}
	leaf.page.Keys = slices.Delete(leaf.page.Keys, i, i+1)
	for level := len(way) - 1; level > 0; level-- {
		at := way[level]
		if len(at.page.Keys) > 0 || len(way[level-1].page.Children) == 1 {
			t.write(at.number, at.page)
			return
		}
		t.in.remove(t.spec(at.number))
		above := &way[level-1]
		above.page.Keys = slices.Delete(above.page.Keys, above.child, above.child+1)
		above.page.Children = slices.Delete(above.page.Children, above.child, above.child+1)
	}
	t.write(0, way[0].page)
}

// leaves calls visit with the keys of one leaf after the other, from the one
// that from belongs to, until it returns false. The keys must not be changed.
func (t tree) leaves(from string, visit func(keys []string) bool) {
	way := t.descend(from)
	for {
		if !visit(slices.Clone(way[len(way)-1].page.Keys)) {
			return
		}
		way = way[:len(way)-1]
		for len(way) > 0 && way[len(way)-1].child+1 == len(way[len(way)-1].page.Children) {
			way = way[:len(way)-1]
		}
		if len(way) == 0 {
			return
		}
		way[len(way)-1].child++
		for !way[len(way)-1].page.leaf() {
			at := way[len(way)-1]
			number := at.page.Children[at.child]
			way = append(way, step{number: number, page: t.page(number)})
		}
	}
}
