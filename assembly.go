package quoll

import (
	"time"

	"quoll/log"
	"quoll/tree"
	"quoll/zab"
)

// The election's pace. A quorum that agrees waits finalizeWait for a better vote, and not at all
// once every server that can be reached has voted the same; votes are sent again after resendVote,
// doubling up to resendVoteMost.
const (
	finalizeWait   = 2
	resendVote     = 20
	resendVoteMost = 200
)

// segmentMost bounds a segment of the log: small enough that one is soon filled with zeros ahead of
// its use, and that a purge leaves little behind; large enough that beginning one is rare.
const segmentMost = 16 << 20

// ticks is d in units of the Peer's tick, at least one.
func ticks(d time.Duration) int { return max(1, int(d/tick)) }

func (c *Config) treeOptions(hashSeed uint64) tree.Options {
	return tree.Options{
		MaxTxnBytes:   max(tree.DefaultMaxTxnBytes, c.MaxBuffer+tree.DefaultMaxTxnBytes/4), // any request fits
		HashSeed:      hashSeed,
		Go:            func(f func()) { go f() }, // Restore waits for it
		ExtendedTypes: c.ExtendedTypes, SkipACL: c.SkipACL,
		SuperDigest: c.SuperDigest, DigestAlg: c.DigestAlg, DigestDisabled: c.DigestDisabled,
	}
}

func (c *Config) peerConfig(ensemble *zab.Ensemble, boot uint64) PeerConfig {
	p := PeerConfig{
		ID: c.MyID, Ensemble: ensemble, Tree: c.treeOptions(boot), Boot: boot,
		TickMs:       tick.Milliseconds(),
		BucketTicks:  int64(ticks(c.TickTime)),
		InitTicks:    ticks(c.TickTime) * c.InitLimit,
		SyncTicks:    ticks(c.TickTime) * c.SyncLimit,
		PingTicks:    ticks(c.TickTime / 2),
		MinSessionMs: int32(c.MinSessionTimeout.Milliseconds()), MaxSessionMs: int32(c.MaxSessionTimeout.Milliseconds()),
		FinalizeTicks: finalizeWait, ResendTicks: resendVote, MaxResendTicks: resendVoteMost,
		ConfigText:  c.ConfigText(),
		NeverUsedMs: c.ContainerMaxNeverUsed.Milliseconds(),
	}
	if c.ContainerCheckInterval > 0 {
		p.ReapTicks = int64(ticks(c.ContainerCheckInterval))
		p.ReapBatch = max(1, int(c.ContainerCheckInterval*time.Duration(c.ContainerMaxPerMinute)/time.Minute))
	}
	return p
}

func (c *Config) logOptions(s *Server) log.Options {
	return log.Options{
		FS: c.FS, Dir: c.DataLogDir, SnapDir: c.DataDir, Server: c.MyID,
		SegmentBytes: min(c.PreAllocSize, segmentMost), NoSync: c.NoSync, Autocreate: !c.RequireInitialize,
		Now: time.Now, OnSync: s.synced,
	}
}
