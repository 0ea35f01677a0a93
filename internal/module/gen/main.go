// Command gen writes what is made of the module package's tables of keys: the
// JSON Schema, and the tables in the reference.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jetfn/jetfn/internal/module"
)

func main() {
	docs := flag.String("docs", "docs", "directory of the documentation")
	flag.Parse()
	if err := write(*docs); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "gen: %v\n", err)
		os.Exit(1)
	}
}

func write(docs string) error {
	schema, err := module.JSONSchema()
	if err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	if err := os.WriteFile(filepath.Join(docs, "module.schema.json"), schema, 0o600); err != nil {
		return fmt.Errorf("write the schema: %w", err)
	}
	file := filepath.Join(docs, "modules.md")
	page, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the reference: %w", err)
	}
	filled, err := module.FillReference(page)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := os.WriteFile(file, filled, 0o600); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}
