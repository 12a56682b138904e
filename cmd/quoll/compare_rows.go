package main

import (
	"fmt"
	"slices"
	"strings"

	"quoll/cmd/internal/table"
)

// goals is every row of the table, as the project set them. A measurement may fill several rows, and
// a row may need the servers of a stage that is entered for it.
var goals = []table.Row{
	{Name: "writes", What: "writes", Unit: "op/s", Goal: ratio(5), Stretch: ratio(8)},
	{Name: "creates", What: "creates and deletes", Unit: "op/s", Goal: ratio(5), Stretch: ratio(8)},
	{Name: "write-p99", What: "write p99 at that load", Unit: "ms", Lower: true, Goal: ratio(5), Stretch: ratio(10)},
	{Name: "one-write", What: "one write, one client, p50", Unit: "ms", Lower: true, Goal: ratio(2), Stretch: ratio(3)},
	{Name: "reads", What: "reads", Unit: "op/s", Goal: ratio(5), Stretch: ratio(8)},
	{Name: "mixed", What: "90 % reads", Unit: "op/s", Goal: ratio(5), Stretch: ratio(8)},
	{Name: "one-read", What: "one read, one client, p50", Unit: "ms", Lower: true, Goal: ratio(2), Stretch: ratio(3)},
	{Name: "linear", What: "linearizable reads", Unit: "op/s", Goal: ratio(1), Stretch: ratio(2)},
	{Name: "gap", What: "write gap, leader killed", Unit: "ms", Lower: true, Goal: value(100), Stretch: value(50)},
	{Name: "gap-follower", What: "write gap, a follower killed", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "gap-full", What: "write gap, with all znodes", Unit: "ms", Lower: true, Goal: value(150), Stretch: value(60)},
	{Name: "fill", What: "filling with znodes", Unit: "op/s", Goal: ratio(8), Stretch: ratio(12)},
	{Name: "lowest", What: "lowest second of writes", Unit: "% of mean", Goal: value(70), Stretch: value(85)},
	{Name: "heap", What: "live heap per znode", Unit: "B", Lower: true, Goal: value(250), Stretch: value(220)},
	{Name: "rss", What: "RSS per znode", Unit: "B", Lower: true, Goal: ratio(4), Stretch: ratio(8)},
	{Name: "restart", What: "restart with all znodes", Unit: "s", Lower: true, Goal: ratio(8), Stretch: ratio(12)},
	{Name: "empty", What: "empty server, RSS", Unit: "MB", Lower: true, Goal: value(25), Stretch: value(15)},
	{Name: "idle", What: "idle session, server memory", Unit: "KB", Lower: true, Goal: value(10), Stretch: value(5)},
	{Name: "ls", What: "one-shot ls /", Unit: "ms", Lower: true, Goal: value(20), Stretch: value(10)},
	{Name: "values", What: "longest wait beside values of 1 MB", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "multis", What: "longest wait beside multis of 1,000 ops", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "watches", What: "longest wait while watches of one znode fire", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "expiry", What: "longest wait while sessions expire together", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "ephemerals", What: "longest wait while a session of many ephemerals closes", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "list-tenth", What: "longest wait beside lists of a tenth of the children", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
	{Name: "list", What: "longest wait beside lists of all children", Unit: "ms", Lower: true, Goal: value(50), Stretch: value(25)},
}

// loaderRow asks for the cost of the loaders, which is a table of its own.
const loaderRow = "loader"

func ratio(times float64) table.Goal { return table.Goal{Ratio: times} }
func value(v float64) table.Goal     { return table.Goal{Value: v} }

// rowNames are what --only takes.
func rowNames() (names []string) {
	for _, r := range goals {
		names = append(names, r.Name)
	}
	return append(names, loaderRow)
}

// checkRows refuses a name that no row has.
func checkRows(only []string) error {
	for _, name := range only {
		if known := rowNames(); !slices.Contains(known, name) {
			return fmt.Errorf("--only: there is no row %q; there are: %s", name, strings.Join(known, " "))
		}
	}
	return nil
}

// wanted returns the rows that were asked for.
func wanted(only []string) (rows []table.Row) {
	for _, r := range goals {
		if len(only) == 0 || slices.Contains(only, r.Name) {
			rows = append(rows, r)
		}
	}
	return rows
}
