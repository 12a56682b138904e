//go:build unix

package quoll

import "syscall"

// maxOpenFiles is the limit of file descriptors of this process.
func maxOpenFiles() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return -1
	}
	return int64(limit.Cur)
}
