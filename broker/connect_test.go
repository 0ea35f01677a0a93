package broker_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestConnectReachesAnExternalServer(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	nc, err := broker.Connect(t.Context(), broker.ConnectConfig{URLs: []string{"nats://127.0.0.1:1", srv.Addr()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	brokertest.Open(t, nc, broker.Config{App: "other"})
}

// logged calls told with each line.
type logged func(line string)

func (f logged) Write(line []byte) (int, error) {
	f(string(line))
	return len(line), nil
}

// untilLogged is a log, and a context that ends when a line of it has all
// words: what waits for ever has said by then why it does.
func untilLogged(t *testing.T, words ...string) (context.Context, zerolog.Logger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx, zerolog.New(logged(func(line string) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			cancel()
		}
	}))
}

func TestConnectSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	plain, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	plain.Start()
	t.Cleanup(func() { plain.Shutdown(); plain.WaitForShutdown() })
	if !plain.ReadyForConnections(patience) {
		t.Fatal("server not ready")
	}
	guarded, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, Username: "u", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	guarded.Start()
	t.Cleanup(func() { guarded.Shutdown(); guarded.WaitForShutdown() })
	if !guarded.ReadyForConnections(patience) {
		t.Fatal("server not ready")
	}
	for name, c := range map[string]struct {
		urls []string
		want []string
	}{
		"nothing listens":   {[]string{"nats://127.0.0.1:1"}, []string{"127.0.0.1:1"}},
		"no JetStream":      {[]string{plain.ClientURL()}, []string{"no JetStream", "-js"}},
		"wrong credentials": {[]string{"nats://u:wrong@" + guarded.Addr().String()}, []string{"credentials", "Authorization"}},
		"no URL":            {nil, []string{"nats://127.0.0.1:4222"}},
		"no host":           {[]string{"nats://:4222"}, []string{"names no host"}},
		"not a URL":         {[]string{"nats://user:pass word@%zz"}, []string{"can't be parsed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, log := untilLogged(t, c.want...)
			nc, err := broker.Connect(ctx, broker.ConnectConfig{URLs: c.urls, Name: "test", Log: log})
			if err == nil {
				nc.Close()
				t.Fatal("Connect = nil error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Connect = %v, want it to contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "wrong@") || strings.Contains(err.Error(), "pass word") {
				t.Errorf("Connect = %v, which tells a password", err)
			}
		})
	}
}
