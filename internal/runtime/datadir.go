package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	lockFile   = "LOCK"
	formatFile = "FORMAT"
	natsDir    = "nats"
	// dataFormat counts the incompatible changes of the directory's layout.
	dataFormat = 1
)

// dataDir is a data directory that this process owns.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir creates the directory if need be, and locks it until close or
// the end of the process. The error wraps ErrInUse if another process has it,
// and names that one.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	name := filepath.Join(path, lockFile)
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if err := lockExclusively(lock); err != nil {
		holder := readHolder(name)
		_ = lock.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("data directory %s is %w by another process (%s); stop it, or choose another directory with --data",
				path, ErrInUse, holder)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *dataDir) prepare() error {
	if err := d.writeHolder(); err != nil {
		return fmt.Errorf("write %s in data directory %s: %w", lockFile, d.path, err)
	}
	return d.checkFormat()
}

func (d *dataDir) writeHolder() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text := fmt.Sprintf("pid %d on %s, started %s\n", os.Getpid(), host, time.Now().Format(time.RFC3339))
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err = d.lock.WriteAt([]byte(text), 0)
	return err
}

func readHolder(name string) string {
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// checkFormat refuses directories that a newer version wrote.
func (d *dataDir) checkFormat() error {
	name := filepath.Join(d.path, formatFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.natsDir()); err == nil {
			return fmt.Errorf("data directory %s has data but no file %s; it was not written by jetfn, or the file was removed", d.path, formatFile)
		}
		return d.writeFormat(name)
	}
	if err != nil {
		return fmt.Errorf("read the format of data directory %s: %w", d.path, err)
	}
	if len(bytes.Trim(text, "\x00")) == 0 {
		// A power failure did this to versions that didn't sync the file, all
		// of which wrote format 1.
		return d.writeFormat(name)
	}
	version, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(text), "jetfn data ")))
	if err != nil {
		return fmt.Errorf("data directory %s: its file %s is not jetfn's: %q", d.path, formatFile, text)
	}
	if version > dataFormat {
		return fmt.Errorf("data directory %s has format %d, this version of jetfn reads up to %d; use a newer jetfn", d.path, version, dataFormat)
	}
	return nil
}

// writeFormat leaves either no file or a whole one behind, also after a power
// failure, and the directory with it.
func (d *dataDir) writeFormat(name string) error {
	temporary := name + ".new"
	err := writeSynced(temporary, fmt.Appendf(nil, "jetfn data %d\n", dataFormat))
	if err == nil {
		err = os.Rename(temporary, name)
	}
	for _, dir := range []string{d.path, filepath.Dir(d.path)} {
		if err == nil {
			err = syncDir(dir)
		}
	}
	if err != nil {
		return fmt.Errorf("write the format of data directory %s: %w", d.path, err)
	}
	return nil
}

func writeSynced(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d *dataDir) natsDir() string { return filepath.Join(d.path, natsDir) }

// close gives the directory up.
func (d *dataDir) close() error { return d.lock.Close() }
