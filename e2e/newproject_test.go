//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheFirstProjectOfTheGoDocsWorks does what docs/sdk-go.md says: a module
// of its own, outside of this one, with the files as they stand there.
func TestTheFirstProjectOfTheGoDocsWorks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/sdk-go.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "\n## A first project\n")
	if !ok {
		t.Fatal("docs/sdk-go.md has no first project")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	files := goBlocks(text)
	if len(files) != 2 {
		t.Fatalf("the first project has %d files, want a program and a test", len(files))
	}
	ports := freePorts(t, 2)
	elsewhere := fmt.Sprintf("jetfn.New(jetfn.WithHTTP(%q), jetfn.WithNATSListen(%q), ", fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1]))
	program := strings.Replace(files[0], "jetfn.New(", elsewhere, 1)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum") // so that nothing has to be looked up
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"main.go": program, "main_test.go": files[1], "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"mod", "init", "example.com/hello"},
		{"mod", "edit", "-require", "github.com/jetfn/jetfn@v0.0.0", "-replace", "github.com/jetfn/jetfn=" + root},
		{"vet", "-mod=mod", "."},
		{"test", "-mod=mod", "."},
		{"build", "-mod=mod", "-o", "hello", "."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	hello := command{path: filepath.Join(dir, "hello"), dir: dir}
	p := startProcess(t, "hello", hello)
	greet := func(want string) {
		t.Helper()
		eventually(t, 30*time.Second, "an answer", func() error {
			r, err := request(t, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/v1/call/example/greeter/ada", ports[0]), "text/plain", []byte("Ada"))
			if err == nil && string(r.body) != want {
				err = fmt.Errorf("it is %d %s, want %s", r.status, r.body, want)
			}
			return err
		})
	}
	greet("Hello Ada, visit 1.")
	p.kill()
	startProcess(t, "hello", hello)
	greet("Hello Ada, visit 2.")
}

// goBlocks are the blocks of Go in a Markdown text.
func goBlocks(text string) (blocks []string) {
	for {
		_, after, ok := strings.Cut(text, "\n```go\n")
		if !ok {
			return blocks
		}
		block, rest, _ := strings.Cut(after, "```")
		blocks, text = append(blocks, block), rest
	}
}
