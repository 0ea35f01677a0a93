package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// arranged are the feeds and ports of a generation, which follow the module.
// They are changed under the lock of modules.
type arranged struct {
	intake context.Context //nolint:containedctx // of feeds and ports; it ends before the generation does
	stop   context.CancelCauseFunc

	ports    map[int]*port
	mailbox  *feeding
	ingress  *feeding
	foreign  map[actor.TypeName]*feeding
	reached  map[actor.TypeName]uint64 // where feeds of foreign streams that were stopped would go on
	served   *placed
	readings []broker.IngressReading
	claimed  uint64 // by whom records are read; zero: not claimed
}

// feeding is a feed that runs.
type feeding struct {
	cancel context.CancelFunc
	ended  chan struct{}
	next   atomic.Uint64 // sequence to go on at
	source *broker.Foreign
}

// end stops the feed and waits until it hands nothing over any more.
func (f *feeding) end() {
	f.cancel()
	<-f.ended
}

// port is a playground's port. What it serves can change.
type port struct {
	listener net.Listener
	cancel   context.CancelFunc
	handler  atomic.Pointer[http.Handler]
}

// ServeHTTP implements http.Handler.
func (p *port) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*p.handler.Load()).ServeHTTP(w, r) }

// opened is what a module needs and the generation doesn't have yet.
type opened struct {
	ports   map[int]*port
	foreign map[actor.TypeName]*broker.Foreign // new ones, and those that differ
}

// close gives back what is not wanted after all.
func (o *opened) close() {
	for _, p := range o.ports {
		_ = p.listener.Close() // nobody has used it
	}
}

// playgroundPorts are the handlers of the playground's ports, and what to call
// them.
func (w *worker) playgroundPorts(m *module.Module) (handlers map[int]http.Handler, names map[int]string) {
	handlers, names = map[int]http.Handler{}, map[int]string{}
	for _, in := range m.PlaygroundIngresses {
		handlers[in.Port] = gateway.NewPlaygroundIngress(surface{w}, w.catalog, w.access())
		names[in.Port] = fmt.Sprintf("playground ingress (%s)", in.Pos)
	}
	for _, out := range m.PlaygroundEgresses {
		handlers[out.Port] = gateway.NewPlaygroundEgress(surface{w}, out.Topics, w.access())
		names[out.Port] = fmt.Sprintf("playground egress (%s)", out.Pos)
	}
	return handlers, names
}

// open opens the ports and the existing streams of a module that are new, all
// or none.
func (g *generation) open(ctx context.Context, m *module.Module) (*opened, error) {
	o := &opened{ports: map[int]*port{}, foreign: map[actor.TypeName]*broker.Foreign{}}
	var problems []error
	_, names := g.worker.playgroundPorts(m)
	for _, number := range slices.Sorted(maps.Keys(names)) {
		if g.ports[number] != nil {
			continue
		}
		ln, err := listen(ctx, names[number], net.JoinHostPort(g.worker.cfg.PlaygroundHost, strconv.Itoa(number)))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		o.ports[number] = &port{listener: ln}
	}
	foreign, err := openForeign(ctx, g.app, m)
	if err = errors.Join(append(problems, err)...); err != nil {
		o.close()
		return nil, err
	}
	for _, f := range foreign {
		if before := g.foreign[f.Ingress()]; before == nil || !reflect.DeepEqual(before.source.Config(), f.Config()) {
			o.foreign[f.Ingress()] = f
		}
	}
	return o, nil
}

// begin has the generation's feeds and ports follow the module from now on.
func (g *generation) begin(ctx context.Context) error {
	m := g.worker.modules
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.now.Load()
	next, err := g.open(ctx, p.module)
	if err != nil {
		return err
	}
	if err := g.app.SettleEgress(ctx); err != nil {
		next.close()
		return err
	}
	start, ok, err := g.beginning(ctx, actor.SourceMailbox)
	if err != nil {
		next.close()
		return err
	}
	g.arrangePorts(p.module, next) //nolint:contextcheck // they live as long as the generation
	if ok {
		g.mailbox = g.feed(actor.SourceMailbox, start, func(ctx context.Context, start uint64, deliver broker.Deliver) error { //nolint:contextcheck // they live as long as the generation
			return g.app.Feed(ctx, actor.SourceMailbox, g.worker.name, start, nil, deliver)
		})
	}
	if err := g.arrangeIngress(ctx, p); err != nil {
		return err
	}
	g.arrangeForeign(ctx, p.module, next)
	g.served = p
	m.generation = g
	g.intakes.Go(func() { m.trim(g.intake, g.app) })
	return nil
}

// leave ends that.
func (g *generation) leave() {
	m := g.worker.modules
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.generation == g {
		m.generation = nil
	}
}

// change follows the module, which is p now.
func (g *generation) change(ctx context.Context, p *placed, next *opened) {
	before := g.served
	g.served = p
	for _, s := range g.seats {
		s.processor.Reload()
	}
	g.arrangePorts(p.module, next) //nolint:contextcheck // they live as long as the generation
	g.arrangeForeign(ctx, p.module, next)
	if err := g.arrangeIngress(ctx, p); err != nil {
		g.stop(fmt.Errorf("follow module revision %d: %w", p.revision.Number, err)) // the next generation begins with it
		return
	}
	g.intakes.Go(func() {
		g.wakeCron(g.intake, before.module, p.module)
		g.worker.modules.trim(g.intake, g.app)
	})
}

// arrangePorts opens and closes ports, and changes what they serve.
func (g *generation) arrangePorts(m *module.Module, next *opened) {
	handlers, _ := g.worker.playgroundPorts(m)
	for number, p := range g.ports {
		if handlers[number] == nil {
			p.cancel()
			delete(g.ports, number)
		}
	}
	for number, h := range handlers {
		p := g.ports[number]
		if p != nil {
			p.handler.Store(&h)
			continue
		}
		p = next.ports[number]
		p.handler.Store(&h)
		g.ports[number] = p
		var ctx context.Context
		ctx, p.cancel = context.WithCancel(g.intake)
		g.spawn(&g.intakes, g.stop, func() error { return gateway.Serve(ctx, p.listener, p, g.worker.serving()) })
	}
}

// arrangeForeign starts and stops the feeds of existing streams.
func (g *generation) arrangeForeign(ctx context.Context, m *module.Module, next *opened) {
	wanted := map[actor.TypeName]bool{}
	for _, in := range m.Ingresses {
		wanted[in.ID] = in.Stream != ""
	}
	for id, f := range g.foreign {
		if !wanted[id] || next.foreign[id] != nil {
			f.end()
			g.reached[id] = f.next.Load()
			delete(g.foreign, id)
		}
	}
	for id, source := range next.foreign {
		s := g.seats[source.Partition()]
		if s.down() {
			continue
		}
		start := max(g.reached[id], s.processor.Position(source.Source()))
		if g.reached[id] == 0 { // the first feed of this generation
			start = g.beginningOf(ctx, source, start)
		}
		f := g.feed(source.Source(), start, func(ctx context.Context, start uint64, deliver broker.Deliver) error { //nolint:contextcheck // it lives as long as the generation
			return source.Feed(ctx, g.worker.name, start, deliver)
		})
		f.source = source
		g.foreign[id] = f
	}
	var all []*broker.Foreign
	for _, f := range g.foreign {
		all = append(all, f.source)
	}
	g.existing.Store(&all)
}

// arrangeIngress has the records of the ingress stream that come from now on
// read by p.
func (g *generation) arrangeIngress(ctx context.Context, p *placed) error {
	f := g.ingress
	start, ok := g.position(actor.SourceIngress)
	if f == nil {
		var err error
		if start, ok, err = g.beginning(ctx, actor.SourceIngress); err != nil {
			return err
		}
	}
	if !ok {
		return nil
	}
	if f != nil {
		newest := newReading(0, 0, p.module)
		if list := *g.worker.modules.readings.Load(); list[len(list)-1].same(&newest) {
			return nil
		}
		f.end()
		start = f.next.Load()
	}
	if err := g.worker.modules.read(ctx, g, p); err != nil {
		return err
	}
	g.ingress = g.feed(actor.SourceIngress, start, func(ctx context.Context, start uint64, deliver broker.Deliver) error { //nolint:contextcheck // they live as long as the generation
		return g.app.Feed(ctx, actor.SourceIngress, g.worker.name, start, nil, deliver)
	})
	return nil
}

// feed runs a feed that begins at start, until it is ended. If it ends by
// itself, the generation does.
func (g *generation) feed(source actor.Source, start uint64, run func(ctx context.Context, start uint64, deliver broker.Deliver) error) *feeding {
	ctx, cancel := context.WithCancel(g.intake)
	f := &feeding{cancel: cancel, ended: make(chan struct{})}
	f.next.Store(start)
	inner := g.worker.rooted(g.app).deliver(g.deliver)
	deliver := g.read.counted(source, start, func(ctx context.Context, partition int, d actor.Delivery) error {
		err := inner(ctx, partition, d)
		if err == nil {
			f.next.Store(d.Seq + 1)
		}
		return err
	})
	if !source.Foreign() {
		g.intakes.Go(func() { g.tellPassed(ctx, source, f) })
	}
	g.spawn(&g.intakes, g.stop, func() error {
		defer close(f.ended)
		err := run(ctx, start, deliver)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			return errors.New("a feed ended by itself")
		}
		return err
	})
	return f
}

// passedPause is the time after which partitions are told how far a feed is.
const passedPause = time.Second

// tellPassed tells all partitions how far a feed is, until ctx ends: what they
// are done with is removed from the stream up to there, also where they get
// nothing of it.
func (g *generation) tellPassed(ctx context.Context, source actor.Source, f *feeding) {
	tick := time.NewTicker(passedPause)
	defer tick.Stop()
	for told := uint64(0); ; { // below where it begins, everything was delivered earlier
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next := f.next.Load()
		if next == told {
			continue
		}
		told = next
		for _, s := range g.seats {
			if !s.down() {
				s.processor.Passed(source, next)
			}
		}
	}
}
