package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// profiler records where a child's time goes between begin and end.
type profiler struct {
	dir    string // empty: no profiles
	prefix string
	cpu    *os.File
}

const (
	mutexFraction = 100    // one of so many contentions
	blockRate     = 10_000 // one per so many nanoseconds blocked
)

func (p *profiler) obey(order string) error {
	if p.dir == "" {
		return nil
	}
	switch order {
	case orderBegin:
		return p.begin()
	case orderEnd:
		return p.end()
	}
	return nil
}

func (p *profiler) begin() (err error) {
	if p.cpu, err = p.create("cpu"); err != nil {
		return err
	}
	runtime.SetMutexProfileFraction(mutexFraction)
	runtime.SetBlockProfileRate(blockRate)
	if err := pprof.StartCPUProfile(p.cpu); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return nil
}

func (p *profiler) end() error {
	pprof.StopCPUProfile()
	problems := []error{p.cpu.Close()}
	for _, name := range []string{"mutex", "block", "allocs"} {
		problems = append(problems, p.write(name))
	}
	runtime.SetMutexProfileFraction(0)
	runtime.SetBlockProfileRate(0)
	return errors.Join(problems...)
}

func (p *profiler) write(name string) error {
	f, err := p.create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(pprof.Lookup(name).WriteTo(f, 0), f.Close()); err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	return nil
}

func (p *profiler) create(name string) (*os.File, error) {
	f, err := os.Create(filepath.Join(p.dir, p.prefix+"-"+name+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return f, nil
}
