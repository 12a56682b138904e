// Package vfs is the only door to a disk: everything that log does to a file goes through an FS.
//
// There are three of them. OS is the real disk. Mem is a disk in memory that can lose power: what
// was not synced is then kept, lost or garbage, sector by sector, and names come back as the
// directory last knew them durably, all from a seed. Fault wraps either, counts operations and
// breaks one of them.
//
// The contract that log relies on, and that Mem enforces and no more than that:
//
//   - File.Sync makes the bytes and the size of that file durable, and nothing about its name.
//   - FS.SyncDir makes the names in one directory durable, and nothing about what they name.
//   - A sector of SectorSize bytes that was synced stays as it was until it is written again. A
//     write that was not synced may do anything to the sectors that it touches, but to no other.
//   - Rename replaces its target in one step.
//
// It imports nothing of ours, keeps no clock and starts no goroutine.
package vfs
