//go:build !linux

package nemesis

func small(string) bool { return false }
