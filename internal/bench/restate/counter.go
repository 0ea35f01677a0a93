package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"

	restate "github.com/restatedev/sdk-go"
	"github.com/restatedev/sdk-go/server"
)

const recordBytes = 100

// add counts a call and answers with a record, as jetfn bench's function does.
func add(ctx restate.ObjectContext, message []byte) ([]byte, error) {
	old, err := restate.Get[[]byte](ctx, "count", restate.WithBinary)
	if err != nil {
		return nil, err
	}
	count := uint64(1)
	if len(old) == 8 {
		count = binary.LittleEndian.Uint64(old) + 1
	}
	restate.Set(ctx, "count", binary.LittleEndian.AppendUint64(nil, count), restate.WithBinary)
	record := fmt.Appendf(make([]byte, 0, recordBytes), "%s %d %.16s ", restate.Key(ctx), count, message)
	for len(record) < recordBytes {
		record = append(record, '.')
	}
	return record, nil
}

// serve is the function's process.
func serve(ctx context.Context, address string) error {
	counter := restate.NewObject("Counter").Handler("add", restate.NewObjectHandler(add, restate.WithBinary))
	return server.NewRestate().WithLogger(slog.DiscardHandler, false).Bind(counter).Start(ctx, address)
}
