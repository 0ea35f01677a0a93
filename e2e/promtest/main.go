package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// step is how far apart the scrapes are taken to be.
const step = 15 * time.Second

func main() {
	deploy := flag.String("deploy", "../../deploy", "directory with the dashboards, alerts and manifests")
	run := flag.String("run", "", "directory with the scrapes")
	flag.Parse()
	if err := check(*deploy, *run); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// check evaluates all queries.
func check(deploy, run string) error {
	queries, err := queriesIn(deploy)
	if err != nil {
		return err
	}
	recorded, err := read(run)
	if err != nil {
		return err
	}
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.DiscardHandler), MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
	})
	var failed []error
	for _, q := range queries {
		if err := evaluate(engine, recorded, q); err != nil {
			failed = append(failed, fmt.Errorf("%s: %s\n  %w", q.where, q.text, err))
		}
	}
	if len(failed) == 0 {
		fmt.Printf("%d queries over %d scrapes\n", len(queries), recorded.scrapes)
	}
	return errors.Join(failed...)
}

func evaluate(engine *promql.Engine, recorded *recording, q query) error {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(q.text)
	if err != nil {
		return err
	}
	compares := false
	var unknown error
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			if !recorded.names[n.Name] {
				unknown = fmt.Errorf("no scrape has the metric %s", n.Name)
			}
		case *parser.BinaryExpr:
			compares = compares || n.Op.IsComparisonOperator()
		case *parser.Call:
			compares = compares || n.Func.Name == "absent"
		}
		return nil
	})
	if unknown != nil {
		return unknown
	}
	ask, err := engine.NewRangeQuery(context.Background(), recorded, nil, q.text, recorded.from, recorded.to, step)
	if err != nil {
		return err
	}
	defer ask.Close()
	got := ask.Exec(context.Background())
	if got.Err != nil {
		return got.Err
	}
	matrix, err := got.Matrix()
	if err != nil {
		return err
	}
	if len(matrix) == 0 && !compares {
		return errors.New("no sample in the whole run")
	}
	return nil
}
