package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
)

// machineFacts are what is to be known of this machine. What Linux does not tell elsewhere is left
// out.
func machineFacts(goVersion string) []table.Fact {
	facts := []table.Fact{{Name: "system", Value: strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + firstLine("/proc/sys/kernel/osrelease"))}}
	cores := strconv.Itoa(runtime.NumCPU()) + " cores"
	if model := fieldOf("/proc/cpuinfo", "model name"); model != "" {
		cores += ", " + model
	}
	facts = append(facts, table.Fact{Name: "processor", Value: cores})
	if kB, err := strconv.ParseFloat(strings.TrimSuffix(fieldOf("/proc/meminfo", "MemTotal"), " kB"), 64); err == nil {
		facts = append(facts, table.Fact{Name: "memory", Value: fmt.Sprintf("%.1f GB", kB*1024/1e9)})
	}
	if load := firstLine("/proc/loadavg"); load != "" {
		facts = append(facts, table.Fact{Name: "load average at the start", Value: strings.Join(strings.Fields(load)[:3], " ")})
	}
	facts = append(facts, table.Fact{Name: "Go", Value: goVersion})
	if text, err := exec.Command("java", "-version").CombinedOutput(); err == nil {
		line, _, _ := strings.Cut(string(text), "\n")
		facts = append(facts, table.Fact{Name: "Java", Value: strings.TrimSpace(line)})
	}
	return facts
}

// firstLine returns that of a file; empty when it cannot be read.
func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// fieldOf returns the value of the first "name : value" of a file; empty when there is none.
func fieldOf(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileSystem returns the type of the file system that a directory is on, by the lines of
// /proc/mounts: on one that is kept in memory, an fsync is nothing.
func fileSystem(mounts, dir string) string {
	kind, longest := "unknown", 0
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		at := fields[1]
		within := at == "/" || dir == at || strings.HasPrefix(dir, at+"/")
		if within && len(at) >= longest { // of two at the same place, the later one covers the other
			kind, longest = fields[2], len(at)
		}
	}
	return kind
}

// fsyncTime returns the median time of an append and its fsync where the servers' directories are:
// the most that one write after another can do there.
func fsyncTime(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, fmt.Errorf("measure the disk: %w", err)
	}
	defer func() {
		_ = f.Close() // nobody needs what is in it
		_ = os.Remove(f.Name())
	}()
	block := bytes.Repeat([]byte("q"), 512)
	var took []float64
	for range 200 {
		watch := measure.StartWatch()
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return 0, fmt.Errorf("measure the disk: %w", err)
		}
		took = append(took, float64(watch.Now()))
	}
	return time.Duration(median(took)), nil
}

// zooKeeperVersion reads the version off the name of the jar.
func zooKeeperVersion(lib string) string {
	jars, err := filepath.Glob(filepath.Join(lib, "zookeeper-[0-9]*.jar"))
	if err != nil || len(jars) == 0 {
		return "unknown"
	}
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(jars[0]), "zookeeper-"), ".jar")
}

// etcdVersion asks the binary.
func etcdVersion(ctx context.Context, binary string) string {
	text, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	_, version, _ := strings.Cut(line, ": ")
	return strings.TrimSpace(version)
}
