package module

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v4"
)

// Options of Load. The zero value is what jetfn run uses.
type Options struct {
	// Strict makes unknown keys of StateFun's kinds errors; they are warnings
	// otherwise, since StateFun ignores them.
	Strict bool
	// Advise adds warnings of what works and has hurt others.
	Advise bool
	// Lookup resolves the variables in values. The default is os.LookupEnv.
	Lookup func(name string) (string, bool)
	// ReadFile reads descriptor sets that modules name. The default is
	// os.ReadFile.
	ReadFile func(name string) ([]byte, error)
}

// Source is the text of one file.
type Source struct {
	Name string
	Data []byte
}

// Load reads the files and puts together what they say. The module is usable
// only if the diagnostics have no errors.
func Load(paths []string, opts Options) (*Module, Diagnostics) {
	_, m, found := LoadSources(paths, opts)
	return m, found
}

// LoadSources is Load, and returns what was read.
func LoadSources(paths []string, opts Options) ([]Source, *Module, Diagnostics) {
	var sources []Source
	var unread Diagnostics
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			cause := err
			if pathErr := (*os.PathError)(nil); errors.As(err, &pathErr) {
				cause = pathErr.Err
			}
			unread = append(unread, Diagnostic{File: p, Severity: Error, Message: fmt.Sprintf("can't be read: %v", cause)})
			continue
		}
		sources = append(sources, Source{Name: p, Data: data})
	}
	m, found := Parse(sources, opts)
	found = append(found, unread...)
	found.sort(paths)
	return sources, m, found
}

// Parse is Load of texts.
func Parse(sources []Source, opts Options) (*Module, Diagnostics) {
	l := newLoader(opts)
	names := l.readAll(sources)
	l.checkVersions()
	if l.errors == 0 {
		l.checkTargets()
		l.checkRouters()
	}
	l.found.sort(names)
	return l.module, l.found
}

func newLoader(opts Options) *loader {
	l := &loader{
		strict:   opts.Strict,
		advise:   opts.Advise,
		lookup:   opts.Lookup,
		readFile: opts.ReadFile,
		module:   &Module{},
		broken:   map[*yaml.Node]bool{},
		expanded: map[*yaml.Node]bool{},
		seen:     map[string]Pos{},
		advised:  map[string]bool{},

		endpoints: map[Pattern][]placedEndpoint{},
	}
	if l.lookup == nil {
		l.lookup = os.LookupEnv
	}
	if l.readFile == nil {
		l.readFile = os.ReadFile
	}
	return l
}

// readAll reads the sources and returns their names.
func (l *loader) readAll(sources []Source) []string {
	names := make([]string, 0, len(sources))
	for _, s := range sources {
		names = append(names, s.Name)
		l.file = s.Name
		l.source(s.Data)
	}
	return names
}

// loader collects what the documents say, and their problems.
type loader struct {
	strict, advise bool
	lookup         func(string) (string, bool)
	readFile       func(string) ([]byte, error)
	module         *Module
	found          Diagnostics
	errors         int // of found

	file     string
	lenient  bool                // unknown keys of this document are warnings
	coerces  bool                // numbers may be texts, and texts numbers
	legacy   bool                // this document has a version
	broken   map[*yaml.Node]bool // its variables could not be expanded
	expanded map[*yaml.Node]bool // text that came from a variable; true if plain: may be a number
	seen     map[string]Pos      // names that may occur once
	advised  map[string]bool     // URLs of which something was said
	aims     []aim
	routed   []routed
	unrouted []unrouted
	secrets  []secretPlace

	endpoints map[Pattern][]placedEndpoint
}

func (l *loader) source(data []byte) {
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		l.errors++
		l.found = append(l.found, Diagnostic{
			File: l.file, Severity: Error, Message: "this is an archive such as a JAR, and no module",
			Hint: "embedded functions need StateFun's JVM, which isn't here: serve them with a remote SDK",
		})
		return
	}
	yamlLoader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		l.syntax(err)
		return
	}
	documents := 0
	for {
		var doc yaml.Node
		err := yamlLoader.Load(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.syntax(err)
			return
		}
		if l.document(&doc) {
			documents++
		}
	}
	if documents == 0 {
		l.found = append(l.found, Diagnostic{File: l.file, Severity: Warning, Message: "the file has no documents"})
	}
}

func (l *loader) syntax(err error) {
	l.errors++
	d := Diagnostic{File: l.file, Severity: Error, Message: err.Error()}
	if le := (*yaml.LoadError)(nil); errors.As(err, &le) {
		d.Line, d.Column, d.Message = le.Mark.Line, le.Mark.Column, "not valid YAML: "+le.Message
		if le.ContextMsg != "" && le.ContextMark.Line > 0 {
			d.Hint = fmt.Sprintf("%s that begins on line %d", le.ContextMsg, le.ContextMark.Line)
		}
	}
	l.found = append(l.found, d)
}

// document reads one document and reports whether it wasn't empty.
func (l *loader) document(doc *yaml.Node) bool {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return false
	}
	root := deref(doc.Content[0])
	if root.Kind == yaml.ScalarNode && root.Tag == nullTag {
		return false
	}
	l.expandTree(doc, "")
	if root.Kind == yaml.MappingNode && lookupKey(root, "kind") == nil && lookupKey(root, "version") != nil {
		l.oldFormat(root)
		return true
	}
	l.component(root)
	return true
}

// once reports what has been declared before.
func (l *loader) once(n *yaml.Node, key, what string) {
	if first, ok := l.seen[what]; ok {
		l.errorf(n, key, "", "%s is declared already, at %s", what, first)
		return
	}
	l.seen[what] = l.pos(n)
}

func (l *loader) pos(n *yaml.Node) Pos { return Pos{File: l.file, Line: n.Line, Column: n.Column} }

func (l *loader) errorf(n *yaml.Node, key, hint, format string, args ...any) {
	l.report(Error, n, key, hint, format, args...)
}

func (l *loader) report(s Severity, n *yaml.Node, key, hint, format string, args ...any) {
	if s == Error {
		l.errors++
	}
	l.found = append(l.found, Diagnostic{
		File: l.file, Line: n.Line, Column: n.Column,
		Severity: s, Key: key, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}
