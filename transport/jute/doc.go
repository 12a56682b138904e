// Package jute encodes and decodes the primitives of ZooKeeper's serialization: big-endian, no
// tags, no names, no alignment. Encoding appends to a caller's slice; decoding returns slices of
// its input. Records live in transport/wire. It imports nothing of ours.
package jute
