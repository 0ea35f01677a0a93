package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// query is one expression, and where it stands.
type query struct{ where, text string }

// queriesIn reads all queries below a directory.
func queriesIn(dir string) ([]query, error) {
	var out []query
	for pattern, read := range map[string]func([]byte) ([]query, error){
		"grafana/*.json": dashboard, "prometheus/*.yaml": rules, "kubernetes/keda-prometheus*.yaml": scaled,
	} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			return nil, errors.Join(err, fmt.Errorf("no files %s in %s", pattern, dir))
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found, err := read(data)
			if err != nil || len(found) == 0 {
				return nil, errors.Join(err, fmt.Errorf("%s has no queries", file))
			}
			for _, q := range found {
				out = append(out, query{filepath.Base(file) + ": " + q.where, q.text})
			}
		}
	}
	return out, nil
}

// dashboard reads Grafana's; its variables stand for everything.
func dashboard(data []byte) (out []query, err error) {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		return nil, err
	}
	variables := strings.NewReplacer("$__rate_interval", "1m", "$namespace", ".*", "$type", ".*")
	for _, p := range board.Panels {
		for _, t := range p.Targets {
			out = append(out, query{p.Title, variables.Replace(t.Expr)})
		}
	}
	return out, nil
}

func rules(data []byte) (out []query, err error) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			out = append(out, query{r.Alert, r.Expr})
		}
	}
	return out, nil
}

// scaled reads KEDA's triggers.
func scaled(data []byte) (out []query, err error) {
	var file struct {
		Spec struct {
			Triggers []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	for i, t := range file.Spec.Triggers {
		if t.Type == "prometheus" {
			out = append(out, query{fmt.Sprintf("trigger %d", i+1), t.Metadata["query"]})
		}
	}
	return out, nil
}
