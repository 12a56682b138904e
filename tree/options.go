package tree

// DefaultMaxTxnBytes is the MaxTxnBytes of Options that name none: well above the largest
// request that the client port admits, well below the frame limit between servers.
const DefaultMaxTxnBytes = 4 << 20

// Options are the settings that decide how requests turn into txns and how access control lists
// are judged. All servers of an ensemble should have the same; as txns carry results, trees stay
// equal even when they do not.
type Options struct {
	// ExtendedTypes allows znodes with a time to live (extendedTypesEnabled). Without it createTTL
	// is answered Unimplemented.
	ExtendedTypes bool

	// SkipACL lets every request pass every access control list (skipACL).
	SkipACL bool

	// SuperDigest is the "super:hash" whose holder passes every check. Empty: nobody does.
	SuperDigest string

	// DigestAlg is the hash of the digest scheme: SHA1, SHA-256 or SHA-512. Empty: SHA1.
	DigestAlg string

	// DigestDisabled takes the digest scheme away.
	DigestDisabled bool

	// MaxTxnBytes bounds every txn that an accepted request can cause, now or later: the txn of the
	// request itself and the closeSession that must name all ephemerals of a session (R30,
	// ZOOKEEPER-4306). 0: DefaultMaxTxnBytes.
	MaxTxnBytes int

	// HashSeed keys the index of names, so that a client that does not know it cannot choose names
	// that fall into one bucket. It reaches no output and may differ between servers. 0 is a seed.
	HashSeed uint64

	// Go runs f beside its caller. Restore uses it for a large tree, which two processors build sooner; the tree
	// is the same. nil: one does it all.
	Go func(f func())
}

func (o *Options) maxTxnBytes() int {
	if o.MaxTxnBytes > 0 {
		return o.MaxTxnBytes
	}
	return DefaultMaxTxnBytes
}
