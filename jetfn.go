// Package jetfn runs stateful functions inside a Go program: what the command
// jetfn run does, with functions written with package sdk in the same process,
// beside those that a module binds to other processes.
//
//	registry, err := sdk.NewRegistry([]sdk.Function{{Type: "example/greeter", Invoke: greet}})
//	…
//	app, err := jetfn.New(jetfn.WithFunctions(registry), jetfn.WithEgress("example/greetings"))
//	…
//	err = app.Run(ctx)
//
// Without further options the program embeds a NATS server that stores in
// ./jetfn-data; with [WithNATS] it uses existing servers, and several such
// programs stand by for each other.
package jetfn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/inprocess"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/sdk"
)

// Errors that Run wraps, so that a program can tell what kind of trouble it is.
var (
	// ErrUsage means that the options ask for what can't be.
	ErrUsage = runtime.ErrUsage
	// ErrInUse means that a port or the data directory belongs to another
	// process.
	ErrInUse = runtime.ErrInUse
	// ErrUnreachable means that no usable NATS was found in time.
	ErrUnreachable = runtime.ErrUnreachable
)

// Addresses are where an application is reached.
type Addresses struct {
	HTTP string // host and port
	NATS string // URL
}

// App is an application. Run runs it, once.
type App struct{ cfg runtime.Config }

// options are what New gathers.
type options struct {
	cfg     runtime.Config
	sources []module.Source
	files   []string
	egress  []string
	errs    []error
}

// Option changes an App.
type Option func(*options)

// WithFunctions binds the functions of r, in this process. Of two registries
// none may bind the same type. They win over the bindings of a module.
func WithFunctions(r *sdk.Registry) Option {
	return func(o *options) {
		for t, spec := range inprocess.New(r) {
			if _, twice := o.cfg.Functions[t]; twice {
				o.errs = append(o.errs, fmt.Errorf("function %s is bound twice", t))
			}
			o.cfg.Functions[t] = spec
		}
	}
}

// WithModule adds module files: endpoints of other processes, ingresses,
// egresses. The default is none.
func WithModule(files ...string) Option {
	return func(o *options) { o.files = append(o.files, files...) }
}

// WithModuleText adds the text of a module file. Errors call it by name.
func WithModuleText(name, text string) Option {
	return func(o *options) { o.sources = append(o.sources, module.Source{Name: name, Data: []byte(text)}) }
}

// WithoutDiscovery leaves functions aside that services on NATS announce, see
// package sdknats. The default is to call them.
func WithoutDiscovery() Option { return func(o *options) { o.cfg.NoDiscovery = true } }

// WithEgress declares NATS egresses, "namespace/name" or "namespace/*":
// records appear on <app>.egress.<namespace>.<name>.
func WithEgress(ids ...string) Option {
	return func(o *options) { o.egress = append(o.egress, ids...) }
}

// WithName is the application's name, which its subjects, streams and buckets
// begin with. The default is "jetfn".
func WithName(name string) Option { return func(o *options) { o.cfg.App = name } }

// WithData is the directory of the embedded NATS server. The default is
// "jetfn-data".
func WithData(dir string) Option { return func(o *options) { o.cfg.DataDir = dir } }

// WithSyncInterval lets the embedded server acknowledge messages before they
// are synced to disk, a second later at most: a power failure may lose the
// last moments. The default is to sync first.
func WithSyncInterval() Option { return func(o *options) { o.cfg.Sync = runtime.SyncInterval } }

// WithSyncGroup lets many messages share one sync to disk, before they are
// acknowledged: a power failure loses nothing. Consumers of the NATS streams
// may see a message some milliseconds before it is synced, and what others
// publish to ingress subjects, or to streams that aren't the application's, is
// synced within a second. It needs Linux, and the data on ext4. The default is
// to sync each message.
func WithSyncGroup() Option { return func(o *options) { o.cfg.Sync = runtime.SyncGroup } }

// WithNATS uses existing servers instead of an embedded one.
func WithNATS(urls ...string) Option {
	return func(o *options) { o.cfg.NATSURLs = append(o.cfg.NATSURLs, urls...) }
}

// WithHTTP is the address of the HTTP listener; port 0 picks a free one. The
// default is 127.0.0.1:8080.
func WithHTTP(address string) Option { return func(o *options) { o.cfg.HTTPAddr = address } }

// WithNATSListen is the address of the embedded NATS server; port 0 picks a
// free one. The default is 127.0.0.1:4222.
func WithNATSListen(address string) Option { return func(o *options) { o.cfg.NATSListen = address } }

// WithPartitions is the number of partitions, which counts when the
// application is created and never changes. The default is 64.
func WithPartitions(n int) Option { return func(o *options) { o.cfg.Partitions = n } }

// WithMaxPerTask is how many calls of functions, and how much asynchronous
// work, may be in flight at once. The default is 1,024.
func WithMaxPerTask(n int) Option { return func(o *options) { o.cfg.MaxPerTask = n } }

// WithHistory keeps journals for longer than they are needed. The default is
// not to.
func WithHistory(d time.Duration) Option { return func(o *options) { o.cfg.History = d } }

// WithReady is called each time the application becomes ready. It must not
// block.
func WithReady(f func(Addresses)) Option {
	return func(o *options) { o.cfg.OnReady = func(a runtime.Addresses) { f(Addresses(a)) } }
}

// WithLog is where the application logs to. The default is nowhere.
func WithLog(log zerolog.Logger) Option { return func(o *options) { o.cfg.Log = log } }

// WithBanner writes a summary of the application to w when it starts. The
// default is not to.
func WithBanner(w io.Writer) Option { return func(o *options) { o.cfg.Out = w } }

// New checks what an application is to be. Its error names everything that is
// wrong, in modules with file, line and column.
func New(opts ...Option) (*App, error) {
	o := &options{cfg: runtime.Config{
		Functions: map[actor.TypeName]actor.FunctionSpec{}, Log: zerolog.Nop(), Version: "embedded",
	}}
	for _, opt := range opts {
		opt(o)
	}
	o.load()
	if len(o.errs) > 0 {
		return nil, errors.Join(o.errs...)
	}
	return &App{cfg: o.cfg}, nil
}

// load puts the module together.
func (o *options) load() {
	sources := o.sources
	for _, id := range o.egress {
		sources = append(sources, module.Source{
			Name: "egress " + id, Data: fmt.Appendf(nil, "kind: io.jetfn.nats.v1/egress\nspec:\n  id: %q\n", id),
		})
	}
	for _, file := range o.files {
		data, err := os.ReadFile(file)
		if err != nil {
			o.errs = append(o.errs, fmt.Errorf("read module: %w", err))
			continue
		}
		sources = append(sources, module.Source{Name: file, Data: data})
	}
	m, found := module.Parse(sources, module.Options{Strict: true})
	for _, d := range found.Errors() {
		o.errs = append(o.errs, errors.New(d.String()))
	}
	o.cfg.Module = m
}

// Run runs the application until ctx ends; then it lets calls in flight end,
// for ten seconds at most, and returns nil. Any other return is an error.
func (a *App) Run(ctx context.Context) error { return runtime.Run(ctx, a.cfg) }
