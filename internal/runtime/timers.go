package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/cron"
)

// errCursor is what is said of a cursor that no page had.
var errCursor = errors.New("after is not the next of a page")

// timerCursor is a place among the timers of all partitions: by due time, then
// partition, then id.
type timerCursor struct {
	partition int
	place     actor.TimerPlace
}

func (c timerCursor) compare(o timerCursor) int {
	return cmp.Or(cmp.Compare(c.place.DueAt, o.place.DueAt), cmp.Compare(c.partition, o.partition), c.place.Compare(o.place))
}

func (c timerCursor) String() string {
	id := c.place.ID
	return fmt.Sprintf("%d-%d-%d-%d-%d", c.place.DueAt, c.partition, id.Epoch, id.Commit, id.Index)
}

// parseTimerCursor reads what String wrote; the empty text is the start.
func parseTimerCursor(text string) (c timerCursor, err error) {
	if text == "" {
		return c, nil
	}
	n, err := numbers(text, 5)
	if err != nil {
		return c, fmt.Errorf("%w: %w", gateway.ErrBadRequest, errCursor)
	}
	c.place = actor.TimerPlace{DueAt: int64(n[0]), ID: actor.TimerID{Epoch: n[2], Commit: n[3], Index: int(n[4])}}
	c.partition = int(n[1])
	return c, nil
}

// numbers reads count numbers with dashes in between.
func numbers(text string, count int) ([]uint64, error) {
	parts := strings.Split(text, "-")
	if len(parts) != count {
		return nil, strconv.ErrSyntax
	}
	out := make([]uint64, count)
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 63)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// behind is where partition's timers go on behind the cursor.
func (c timerCursor) behind(partition int) actor.TimerPlace {
	switch {
	case partition == c.partition || c.place == (actor.TimerPlace{}):
		return c.place
	case partition < c.partition: // those of its due time were before
		return actor.TimerPlace{DueAt: c.place.DueAt + 1}
	}
	return actor.TimerPlace{DueAt: c.place.DueAt}
}

// Timers implements gateway.Timers. Each partition is asked for a page of its
// own; what they have in common is the page.
func (s surface) Timers(ctx context.Context, q gateway.TimerQuery) ([]gateway.Timer, string, error) {
	g, err := s.generation()
	if err != nil {
		return nil, "", err
	}
	after, err := parseTimerCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	match := func(t *actor.Timer) bool { return q.Matches(t) && !hiddenTimer(t) }
	pages := make([]actor.TimerPage, len(g.seats))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for p, seat := range g.seats {
		if seat.down() {
			continue
		}
		group.Go(func() error {
			var err error
			pages[p], err = seat.processor.Timers(asking, actor.TimerQuery{After: after.behind(p), Limit: q.Limit, Match: match})
			return readError(err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	list, next := mergeTimers(pages, q.Limit)
	out := make([]gateway.Timer, len(list))
	for i := range list {
		out[i] = gateway.NewTimer(g.timerID(list[i].partition, list[i].timer.ID), list[i].partition, list[i].timer)
	}
	return out, next, nil
}

// placedTimer is a timer and whose it is.
type placedTimer struct {
	partition int
	timer     *actor.Timer
}

func (t placedTimer) cursor() timerCursor {
	return timerCursor{t.partition, actor.TimerPlace{DueAt: t.timer.DueAt, ID: t.timer.ID}}
}

// mergeTimers makes one page of the partitions' pages: it goes as far as all
// of them have looked.
func mergeTimers(pages []actor.TimerPage, limit int) (list []placedTimer, next string) {
	var end *timerCursor // the first place behind which a partition has not looked
	for p := range pages {
		page := &pages[p]
		for i := range page.Timers {
			list = append(list, placedTimer{p, &page.Timers[i]})
		}
		if looked := (timerCursor{p, page.Next}); page.More && (end == nil || looked.compare(*end) < 0) {
			end = &looked
		}
	}
	slices.SortFunc(list, func(a, b placedTimer) int { return a.cursor().compare(b.cursor()) })
	if end != nil {
		n, _ := slices.BinarySearchFunc(list, *end, func(t placedTimer, c timerCursor) int {
			if t.cursor().compare(c) <= 0 {
				return -1
			}
			return 1
		})
		list = list[:n]
		next = end.String()
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].cursor().String()
	}
	return list, next
}

// hiddenTimer reports whether jetfn's own functions have set a timer for
// themselves that nobody else may cancel. A schedule's next tick is none.
func hiddenTimer(t *actor.Timer) bool {
	return t.Envelope.Target.Type.Namespace == ownNamespace && t.Envelope.Caller.Type.Namespace == ownNamespace && !isTick(t)
}

// isTick reports whether t is the next tick of a cron ingress.
func isTick(t *actor.Timer) bool {
	return t.Envelope.Target.Type == cron.Type() && t.Envelope.Caller == t.Envelope.Target
}

// readError is an error of a question to a processor as the gateway knows it.
func readError(err error) error {
	if errors.Is(err, actor.ErrEnded) {
		return fmt.Errorf("%w: %w", gateway.ErrNotReady, err)
	}
	return err
}

// timerID is the id of a timer as clients see it, unique over all
// applications.
func (g *generation) timerID(partition int, id actor.TimerID) string {
	return fmt.Sprintf("%s-%d-%d-%d-%d", g.app.Incarnation(), partition, id.Epoch, id.Commit, id.Index)
}

// timer finds what timerID wrote.
func (g *generation) timer(text string) (*seat, actor.TimerID, error) {
	rest, ours := strings.CutPrefix(text, g.app.Incarnation()+"-")
	n, err := numbers(rest, 4)
	if !ours || err != nil || n[0] >= uint64(len(g.seats)) {
		return nil, actor.TimerID{}, fmt.Errorf("timer %s: %w", text, gateway.ErrNotFound)
	}
	s := g.seats[n[0]]
	if s.down() {
		return nil, actor.TimerID{}, fmt.Errorf("%w: partition %d is down", gateway.ErrNotReady, s.partition)
	}
	return s, actor.TimerID{Epoch: n[1], Commit: n[2], Index: int(n[3])}, nil
}

// Timer implements gateway.Timers.
func (s surface) Timer(ctx context.Context, id string) (gateway.Timer, error) {
	return s.oneTimer(ctx, id, func(_ *actor.Processor, t actor.Timer) (actor.Timer, error) { return t, nil })
}

// CancelTimer implements gateway.Timers. A schedule whose tick is cancelled
// goes on with the next one.
func (s surface) CancelTimer(ctx context.Context, id string) (gateway.Timer, error) {
	return s.oneTimer(ctx, id, func(p *actor.Processor, t actor.Timer) (actor.Timer, error) {
		if isTick(&t) {
			return t, s.skipTick(ctx, &t)
		}
		t, err := p.CancelTimer(ctx, t.ID)
		if errors.Is(err, actor.ErrUnanswered) {
			return t, fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
		}
		return t, readError(err)
	})
}

// oneTimer finds a timer and does something with it.
func (s surface) oneTimer(ctx context.Context, text string, do func(*actor.Processor, actor.Timer) (actor.Timer, error)) (gateway.Timer, error) {
	g, err := s.generation()
	if err != nil {
		return gateway.Timer{}, err
	}
	seat, id, err := g.timer(text)
	if err != nil {
		return gateway.Timer{}, err
	}
	t, err := seat.processor.Timer(ctx, id)
	switch {
	case err == nil && hiddenTimer(&t):
		err = actor.ErrNotFound
	case err == nil:
		t, err = do(seat.processor, t)
	default:
		err = readError(err)
	}
	if errors.Is(err, actor.ErrNotFound) {
		return gateway.Timer{}, fmt.Errorf("timer %s: %w: it has fired, was cancelled, or never was", text, gateway.ErrNotFound)
	}
	if err != nil {
		return gateway.Timer{}, err
	}
	return gateway.NewTimer(text, seat.partition, &t), nil
}
