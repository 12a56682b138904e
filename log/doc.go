// Package log keeps what a server must not forget: one write-ahead log and snapshots beside it.
//
// The log is a single append-only stream of typed records (zab.Record). What a server knows after
// a crash is the fold of that stream, so every "durable before" of the protocol is the order in
// which records were appended (R2), and there is no second file that could disagree. Snapshots
// are whole files that exist or do not; they let the log forget its beginning.
//
// Invariants:
//
//   - A record is durable when the Sync after it has returned. Recovery then finds it, or refuses.
//   - Each record's checksum starts from that of its predecessor (R19), and each Sync writes one
//     block that begins in a sector of its own with a mark. A mark proves that everything before
//     it was durable when it was written. So a tail that a crash tore is told from damage: damage
//     with a mark behind it is damage (CorruptError), without one it is a tail and is cut.
//   - What was durable is never written again, and no sector of it.
//   - A truncation and the installation of a snapshot are records too (R9, R10): they take effect
//     in one step with the record that completes them, and a dead branch is never read again.
//   - After a failed write or fsync every later call fails with the same error (R20). Only a full
//     disk may be waited out (FullError).
//   - Nothing is deleted on doubt: what is damaged is moved aside.
//
// One goroutine, the log writer, owns Append, Sync, Idle and Close. Everything else may be called
// beside it from any goroutine.
//
// It imports zab for the types of records and log/vfs for the disk, and must never import os.
// docs/FORMATS.md draws the files.
package log
