package measure

import (
	"syscall"
	"time"
)

// Stopwatch tells the time since a run began, on the monotonic clock.
type Stopwatch struct{ start time.Time }

// StartWatch returns a Stopwatch that begins now.
func StartWatch() Stopwatch { return Stopwatch{start: time.Now()} }

// Now returns the time since the start.
func (w Stopwatch) Now() time.Duration { return time.Since(w.start) }

// Start returns when that was.
func (w Stopwatch) Start() time.Time { return w.start }

// CPU counts the processor time that this process uses.
type CPU struct {
	watch Stopwatch
	used  time.Duration
}

// StartCPU begins to count.
func StartCPU() CPU { return CPU{watch: StartWatch(), used: processTime()} }

// Cores returns how many cores the process kept busy, on average, since the start.
func (c CPU) Cores() float64 {
	return float64(processTime()-c.used) / float64(max(c.watch.Now(), 1))
}

// processTime returns what the process has used up; 0 where the system does not tell.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
