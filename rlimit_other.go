//go:build !unix

package quoll

// maxOpenFiles is not known here.
func maxOpenFiles() int64 { return -1 }
