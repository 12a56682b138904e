package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// What one system leaves to be done when its load ends, its snapshots and the writing back of its files, must not be in
// the next one's figures: they share the processors and the disk.
const (
	quietShare = 0.05 // of the processors' time, at most
	quietLook  = 500 * time.Millisecond
	quietMost  = 30 * time.Second // servers that never rest are measured as they are
)

// quiet waits until the disk has what was written and the machine does next to nothing. Where the system does not say
// what its processors do, nobody waits for them.
func (r *comparing) quiet() {
	_ = exec.CommandContext(r.c.ctx, "sync").Run() // where there is none, the disk does what it does
	for until := time.Now().Add(quietMost); time.Now().Before(until); {
		before, err := os.ReadFile("/proc/stat")
		if err != nil || r.pause(quietLook) != nil {
			return
		}
		after, err := os.ReadFile("/proc/stat")
		if err != nil || busyShare(string(before), string(after)) <= quietShare {
			return
		}
	}
	r.progress("the machine was still busy after %v", quietMost)
}

// busyShare returns which part of the processors' time was used between two readings of /proc/stat; 0 if they do not
// tell.
func busyShare(before, after string) float64 {
	totalBefore, idleBefore := processorTime(before)
	totalAfter, idleAfter := processorTime(after)
	if totalAfter <= totalBefore {
		return 0
	}
	return 1 - (idleAfter-idleBefore)/(totalAfter-totalBefore)
}

// processorTime reads the first line of /proc/stat: "cpu", then user, nice, system, idle, waiting for the disk and
// others, in ticks since the start, of all processors together.
func processorTime(stat string) (total, idle float64) {
	line, _, _ := strings.Cut(stat, "\n")
	for i, field := range strings.Fields(strings.TrimPrefix(line, "cpu")) {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, 0
		}
		total += ticks
		if i == 3 || i == 4 {
			idle += ticks
		}
	}
	return total, idle
}
