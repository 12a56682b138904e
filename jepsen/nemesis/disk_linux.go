package nemesis

import "golang.org/x/sys/unix"

// smallBytes is what a file system may have to be filled without harm to others.
const smallBytes = 1 << 30

// small reports whether a directory is on a tmpfs that it need not share.
func small(dir string) bool {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return false
	}
	return s.Type == unix.TMPFS_MAGIC && s.Blocks*uint64(s.Bsize) < smallBytes
}
