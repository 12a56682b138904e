// Package jute encodes and decodes the primitives of ZooKeeper's serialization: big-endian, no
// tags, no names, no alignment. Records live in transport/wire.
//
//	byte, boolean   1 byte; any value but 0 reads as true
//	int, long       4, 8 bytes, two's complement
//	ustring         int length, UTF-8 bytes       length -1: null
//	buffer          int length, bytes             length -1: null, which is not empty
//	vector          int count, elements           count -1: null, which is not empty
//	record          its fields, one after another
//
// Encoding appends to a caller's slice. Decoding returns slices of its input, which die with it.
// Two invariants hold for any input: a Decoder never panics, and it gives out no length or count
// that the bytes it was given cannot hold. It imports nothing of ours.
package jute
