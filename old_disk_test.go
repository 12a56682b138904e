package quoll_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server is given back an older copy of its directory, as from a backup (zab.md N22). Nothing on that
// disk tells it that it has forgotten promises and acks, so no protocol can bear that of any number of
// voters. It is borne here by what bears a lost disk: one server at a time, while a quorum of the
// others has all that is committed. The server is then a follower that was away for long.
func TestOldDisk(t *testing.T) {
	const voters = 3
	for seed := range uint64(6) {
		e := newBareEnsemble(t, seed, voters)
		for range 3_000 {
			e.step()
		}
		old := int(seed) % voters
		image := e.servers[old].synced // what the backup has: a beginning of the log, from any moment
		if e.rnd.IntN(3) == 0 {
			image = e.rnd.IntN(image + 1)
		}
		e.run(3_000) // faults, then all serve
		for n := 0; !e.equal(); n++ {
			require.Less(t, n, 200_000, "the servers do not come to the same state")
			e.step()
		}
		lost := len(e.servers[old].log) - min(image, len(e.servers[old].log))
		e.crash(old)
		s := e.servers[old]
		s.log = s.log[:min(image, len(s.log))]
		s.synced = len(s.log)

		e.quiet = false
		e.run(8_000) // compares the trees at each zxid, and that nothing happened twice
		t.Logf("seed %d: lost %d records", seed, lost)
	}
}

// equal reports whether all servers show the same state and have nothing more to write.
func (e *bareEnsemble) equal() bool {
	for i, s := range e.servers {
		if !e.up[i] || s.synced < len(s.log) || s.peer.Tree().Applied() != e.servers[0].peer.Tree().Applied() ||
			s.peer.Zab().LastLogged() != s.peer.Tree().Applied() {
			return false
		}
	}
	return true
}
