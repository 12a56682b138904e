package main

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// manageMemory is for the commands that run servers: it settles how much memory the process takes,
// where its environment does not (GOGC, GOMEMLIMIT).
func manageMemory(logger *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		afterEachCollection(keepHeadroom)
	}
	switch limit, err := memlimit.Set(); {
	case err != nil:
		logger.Info("no memory limit set, that of the container cannot be read", "err", err)
	case limit == math.MaxInt64:
		logger.Info("no memory limit set, the container has none")
	default:
		logger.Info("memory limit set", "GOMEMLIMIT", limit)
	}
}

// Between two collections the heap may grow by as much as a collection has to look at, so that its cost
// is shared by that many new bytes. This is what Go does too, except that Go counts all live bytes, and
// nearly all of ours are znodes, which have no pointers: nobody looks at them.
const (
	leastHeadroom  = 32 << 20
	leastPercent   = 8 // what is not looked at costs a little, too
	defaultPercent = 100
)

// percentFor returns the GOGC for a heap of live bytes, of which scan are looked at.
func percentFor(live, scan uint64) int {
	return int(min(max(100*max(scan, leastHeadroom)/max(live, 1), leastPercent), defaultPercent))
}

// keepHeadroom sets GOGC anew when the heap has become another. A small difference is not worth
// stopping the world.
func keepHeadroom() {
	now := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/total:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(now)
	want, is := percentFor(now[0].Value.Uint64(), now[1].Value.Uint64()), int(now[2].Value.Uint64())
	if want < is*9/10 || want > is*11/10 || want == defaultPercent && is != want {
		debug.SetGCPercent(want)
	}
}

// afterEachCollection calls f after each cycle of the collector, in the goroutine of the finalizers.
func afterEachCollection(f func()) {
	var again func(*[16]byte)
	again = func(unreachable *[16]byte) {
		f()
		runtime.SetFinalizer(unreachable, again)
	}
	runtime.SetFinalizer(new([16]byte), again) // what is smaller shares its memory with others
}
