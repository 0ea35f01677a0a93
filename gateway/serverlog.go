package gateway

import (
	"context"
	"log/slog"
	"strings"

	"github.com/rs/zerolog"
)

// serverLog takes over what net/http's server reports. Failed handshakes are
// the doing of clients and can come in floods.
type serverLog struct {
	slog.Handler

	log     zerolog.Logger
	refused *refusals
}

// Enabled implements slog.Handler.
func (*serverLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *serverLog) Handle(_ context.Context, r slog.Record) error {
	const most = 1000
	text := strings.TrimSpace(r.Message)
	if from, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok {
		client, why, _ := strings.Cut(from, ": ")
		if !strings.HasSuffix(why, "EOF") { // who only looks whether the port is open
			l.refused.tell(client, "tls-handshake")
		}
		return nil
	}
	if len(text) > most {
		text = text[:most]
	}
	l.log.Warn().Str("error", text).Msg("the HTTP server reported an error")
	return nil
}
