package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

// The commands that start the children.
const (
	WorkerCommand   = "bench-worker"
	FunctionCommand = "bench-function"
)

// A child writes one JSON line when it is ready, and one more, a usage, for
// each of these lines on its standard input; when that ends, so does it.
const (
	orderBegin = "begin"
	orderEnd   = "end"
)

// readiness is a child's first line.
type readiness struct {
	HTTP string `json:"http"` // host and port
	NATS string `json:"nats,omitempty"`
}

// obey is a child's side: it announces itself, and answers until its input
// ends or ctx does.
func obey(ctx context.Context, in io.Reader, out io.Writer, r readiness, p *profiler, calls *atomic.Uint64) error {
	answers := json.NewEncoder(out)
	if err := answers.Encode(r); err != nil {
		return fmt.Errorf("announce readiness: %w", err)
	}
	orders := make(chan string)
	go func() { // it ends with the process at the latest: a read can't be interrupted
		defer close(orders)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			select {
			case orders <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case order, ok := <-orders:
			if !ok {
				return nil
			}
			if err := p.obey(order); err != nil {
				return err
			}
			u := ownUsage()
			u.Calls = calls.Load()
			if err := answers.Encode(u); err != nil {
				return fmt.Errorf("answer %s: %w", order, err)
			}
		}
	}
}

// child is a process of ours.
type child struct {
	readiness
	name    string
	command *exec.Cmd
	orders  io.WriteCloser
	answers *json.Decoder
	stderr  *strings.Builder
}

const childPatience = 30 * time.Second

// startChild runs this program with a command and its configuration, and
// waits until it is ready.
func startChild(ctx context.Context, p Program, name string, cfg any) (*child, error) {
	argument, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, command: exec.CommandContext(ctx, p.Path, name, string(argument)), stderr: &strings.Builder{}}
	if p.Name != "" {
		c.command.Args[0] = p.Name
	}
	c.command.Cancel = func() error { return c.orders.Close() }
	c.command.WaitDelay = childPatience
	c.command.Stderr = c.stderr
	if c.orders, err = c.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	output, err := c.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.answers = json.NewDecoder(output)
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.read(&c.readiness); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), c.stop())
	}
	return c, nil
}

// read waits for the child's next line.
func (c *child) read(into any) error {
	late := time.AfterFunc(childPatience, func() { _ = c.command.Process.Kill() })
	defer late.Stop()
	return c.answers.Decode(into)
}

// ask sends an order and returns the answer.
func (c *child) ask(order string) (u usage, err error) {
	if _, err = io.WriteString(c.orders, order+"\n"); err == nil {
		err = c.read(&u)
	}
	if err != nil {
		return u, fmt.Errorf("ask %s for its usage: %w", c.name, err)
	}
	return u, nil
}

// stop ends the child and tells what it complained of.
func (c *child) stop() error {
	_ = c.orders.Close() // it may have ended by itself
	late := time.AfterFunc(childPatience, func() { _ = c.command.Process.Kill() })
	defer late.Stop()
	if err := c.command.Wait(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.name, err, strings.TrimSpace(c.stderr.String()))
	}
	return nil
}
