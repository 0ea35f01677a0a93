package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verdicts are what a row of the compatibility page may say of jetfn.
func verdicts() []string { return []string{"same", "better", "not yet", "not applicable"} }

var quoted = regexp.MustCompile("`([^`]+)`")

// claim is a row of the page.
type claim struct {
	line                         int
	theirs, verdict, how, proofs string
}

func claims(t *testing.T) []claim {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	var list []claim
	for i, line := range strings.Split(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| StateFun |") {
			continue
		}
		if len(cells) != 6 {
			t.Errorf("docs/compatibility.md:%d: a row has %d cells, want 4", i+1, len(cells)-2)
			continue
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		list = append(list, claim{i + 1, cells[1], cells[2], cells[3], cells[4]})
	}
	if len(list) < 60 {
		t.Fatalf("docs/compatibility.md has %d rows, that is too few", len(list))
	}
	return list
}

// tests are the names of all tests of the project, also those behind build
// tags.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.T\)`)
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != filepath.Join("..", "..") && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEveryRowOnCompatibilityNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	known := tests(t)
	for _, c := range claims(t) {
		if !slices.Contains(verdicts(), c.verdict) {
			t.Errorf("docs/compatibility.md:%d says %q, want one of %q", c.line, c.verdict, verdicts())
		}
		if c.verdict != "same" && c.how == "" {
			t.Errorf("docs/compatibility.md:%d says %q and not how or why", c.line, c.verdict)
		}
		names := quoted.FindAllStringSubmatch(c.proofs, -1)
		if len(names) == 0 && c.verdict != "not applicable" {
			t.Errorf("docs/compatibility.md:%d names no test for %q", c.line, c.theirs)
		}
		for _, name := range names {
			if !known[name[1]] {
				t.Errorf("docs/compatibility.md:%d names the test %s, which does not exist", c.line, name[1])
			}
		}
	}
}
