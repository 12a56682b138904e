package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
)

// listings is how often a command is run for each repetition of the others: it takes no time.
const listings = 3

// list measures a command line that lists the root, from the start of its process to its end, each
// system with its own: what a script that calls it in a loop has to wait for.
func (r *comparing) list() error {
	if !r.wants("ls") {
		return nil
	}
	for _, s := range r.sides {
		args := []string{r.self, "ls", "--server=" + s.Servers()[0], "/"}
		if s.name == table.ZooKeeper {
			args = []string{
				"java", "-cp", filepath.Join(r.ZooKeeper, "*"), "org.apache.zookeeper.ZooKeeperMain",
				"-server", s.Servers()[0], "ls", "/",
			}
		}
		var took []float64
		for range listings * r.Repeat {
			ms, err := oneShot(r.c.ctx, args)
			if err != nil {
				return fmt.Errorf("row ls: %s: %w", s.name, err)
			}
			took = append(took, ms)
		}
		r.result.Set("ls", s.name, median(took))
	}
	return nil
}

// oneShot runs a command that lists the root and returns how many milliseconds it took.
func oneShot(ctx context.Context, args []string) (ms float64, err error) {
	watch := measure.StartWatch()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	took := watch.Now()
	if err == nil && !strings.Contains(string(out), "zookeeper") { // which every root has
		err = fmt.Errorf("the root has no znode \"zookeeper\"")
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w; it said: %s", strings.Join(args, " "), err, out)
	}
	return took.Seconds() * 1e3, nil
}
