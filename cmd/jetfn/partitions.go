package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/jetfn/jetfn/gateway"
)

// partitionsCommand is jetfn partitions.
type partitionsCommand struct{ serverFlags }

// Run lists the partitions.
func (p *partitionsCommand) Run(ctx context.Context, c console) error {
	var page struct {
		Items []gateway.PartitionInfo `json:"items"`
	}
	if err := p.do(ctx, http.MethodGet, "/v1/partitions", nil, nil, &page); err != nil {
		return err
	}
	if p.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(page.Items)
	}
	partitionTable(c.out, 0, page.Items)
	return nil
}

// showPartitions shows those that are most behind, most of them at least; 0 is
// all.
func showPartitions(w io.Writer, width int, all []gateway.PartitionInfo, most int) {
	list := slices.Clone(all)
	slices.SortStableFunc(list, func(a, b gateway.PartitionInfo) int {
		if a.Up != b.Up {
			if a.Up {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.ApplyLag+b.EgressPending, a.ApplyLag+a.EgressPending), cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(a.Partition, b.Partition))
	})
	if most > 0 && len(list) > most {
		list = list[:most]
	}
	partitionTable(w, width, list)
	if rest := len(all) - len(list); rest > 0 {
		printf(w, "and %d more, which are no further behind\n", rest)
	}
}

// partitionTable writes a row for each, as wide as width allows; zero: as it
// takes.
func partitionTable(w io.Writer, width int, list []gateway.PartitionInfo) {
	var table columns
	table.row("PARTITION", "OWNER", "STATE", "EPOCH", "COMMITS", "LAG", "EGRESS", "WAITING", "TIMERS", "CHECKPOINT")
	for _, p := range list {
		state := "up"
		if !p.Up {
			state = "down"
		}
		table.row(strconv.Itoa(p.Partition), p.Owner, state, strconv.FormatUint(p.Epoch, 10), strconv.FormatUint(p.Commits, 10), strconv.Itoa(p.ApplyLag),
			strconv.Itoa(p.EgressPending), strconv.Itoa(p.Waiting), strconv.Itoa(p.Timers), age(p.CheckpointAge))
	}
	table.write(w, width, "EPOCH", "COMMITS", "OWNER", "TIMERS")
	for _, p := range list {
		if p.Reason != "" {
			printf(w, "partition %d: %s\n", p.Partition, p.Reason)
		}
	}
}
