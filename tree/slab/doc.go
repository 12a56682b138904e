// Package slab keeps millions of small things where the collector does not look: in chunks without
// pointers, addressed by integers. The tree has its znodes here, the table of watches its paths.
//
//	Table  records of one type, by slot
//	Arena  strings of bytes, by Block
//	Index  finds a slot by the hash of its key
//
// All of them grow a chunk or a bucket at a time, so no single operation pays for all that came
// before it. A Generation lets a view share chunks: they are copied when first written after it.
// Nothing here is safe for use by several goroutines while one of them writes.
package slab
