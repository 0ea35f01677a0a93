package main

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"

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
	return partitionTable(c.out, page.Items)
}

// showPartitions shows those that are most behind, most of them at least; 0 is
// all.
func showPartitions(w io.Writer, all []gateway.PartitionInfo, most int) error {
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
	if err := partitionTable(w, list); err != nil {
		return err
	}
	if rest := len(all) - len(list); rest > 0 {
		printf(w, "and %d more, which are no further behind\n", rest)
	}
	return nil
}

func partitionTable(w io.Writer, list []gateway.PartitionInfo) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(table, "PARTITION\tOWNER\tSTATE\tEPOCH\tCOMMITS\tLAG\tEGRESS\tWAITING\tTIMERS\tCHECKPOINT\n")
	for _, p := range list {
		state := "up"
		if !p.Up {
			state = "down"
		}
		printf(table, "%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			p.Partition, p.Owner, state, p.Epoch, p.Commits, p.ApplyLag, p.EgressPending, p.Waiting, p.Timers, age(p.CheckpointAge))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, p := range list {
		if p.Reason != "" {
			printf(w, "partition %d: %s\n", p.Partition, p.Reason)
		}
	}
	return nil
}
