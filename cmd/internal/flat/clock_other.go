//go:build !linux

package main

import "time"

var start = time.Now()

// used returns the time that passed, where the system does not tell that of a thread.
func used() time.Duration { return time.Since(start) }
