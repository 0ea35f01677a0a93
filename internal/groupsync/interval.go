package groupsync

import "time"

// Every calls sync once an interval until done is closed, and once more then.
// It returns the first error, and doesn't call sync after one.
func Every(interval time.Duration, sync func() error, done <-chan struct{}) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return sync()
		case <-ticker.C:
			if err := sync(); err != nil {
				return err
			}
		}
	}
}
