package admin

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
)

// Property is one line of envi.
type Property struct{ Name, Value string }

// hostProperties describes the process under the names that ZooKeeper 3.9 prints. Those of a JVM
// say what stands in its place.
func hostProperties() []Property {
	hostName, _ := os.Hostname()
	workDir, _ := os.Getwd()
	program, _ := os.Executable()
	userName, home := "", ""
	if u, err := user.Current(); err == nil {
		userName, home = u.Username, u.HomeDir
	}
	free, total := memory()
	return []Property{
		{"host.name", hostName},
		{"java.version", runtime.Version()},
		{"java.vendor", "Quoll, no JVM"},
		{"java.home", filepath.Dir(program)},
		{"java.class.path", filepath.Base(program)},
		{"java.library.path", ""},
		{"java.io.tmpdir", os.TempDir()},
		{"java.compiler", runtime.Compiler},
		{"os.name", runtime.GOOS},
		{"os.arch", runtime.GOARCH},
		{"os.version", osVersion()},
		{"user.name", userName},
		{"user.home", home},
		{"user.dir", workDir},
		{"os.memory.free", megabytes(free)},
		{"os.memory.max", megabytes(total)},
		{"os.memory.total", megabytes(total)},
	}
}

// memory returns what the runtime holds: free of live objects, and in all.
func memory() (free, total uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	live, total := samples[0].Value.Uint64(), samples[1].Value.Uint64()
	return total - min(live, total), total
}

func megabytes(n uint64) string { return strconv.FormatUint(n>>20, 10) + "MB" }

// osVersion returns the release of a Linux kernel; elsewhere nothing.
func osVersion() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	return string(text)
}
