//go:build e2e

package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// warning matches a constant message at warn or error, logged directly or by
// a partition's notice.
var warning = regexp.MustCompile(`(?:(?:Warn|Error)\(\)[^\n]*\.Msg\(|notice(?:Warn|Error), |\.warn\()"([^"]+)"`)

func TestEveryWarningIsInTheOperationsGuide(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, dir := range []string{"actor", "broker", "kvstate", "gateway", "internal", "cmd"} {
		for message, file := range warnings(t, filepath.Join("..", dir)) {
			found++
			if !strings.Contains(string(guide), "`"+message+"`") {
				t.Errorf("docs/operations.md says nothing about %q of %s", message, file)
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d warnings in the code, that is too few", found)
	}
}

func warnings(t *testing.T, dir string) map[string]string {
	t.Helper()
	messages := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range warning.FindAllStringSubmatch(string(text), -1) {
			messages[m[1]] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// link matches a relative link of a Markdown text, without its anchor.
var link = regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)

func TestLinksOfTheDocumentationLeadSomewhere(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/adr/*.md", "../examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 10 {
		t.Errorf("found only %v", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}
