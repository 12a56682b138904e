package tree

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/tree/slab"
)

// Trees that cannot be, written with digests that are right: each is refused for what it is.
func TestRestoreRefusesImpossibleTrees(t *testing.T) {
	acl := func(tr *Tree) aclID { return tr.acls.intern(wire.AppendACLs(nil, wire.OpenACL)) }
	for what, spoil := range map[string]func(tr *Tree){
		"a name comes twice": func(tr *Tree) {
			for range 2 {
				id := tr.attach(rootID, []byte("twin"), nil, node{acl: acl(tr)}, kin{})
				tr.sum += tr.terms(pathHash([]byte("/twin")), tr.at(id))
				tr.count++
			}
		},
		"impossible name": func(tr *Tree) {
			id := tr.attach(rootID, []byte("a/b"), nil, node{acl: acl(tr)}, kin{})
			tr.sum += tr.terms(slab.Hash(seedRoot, []byte("a/b")), tr.at(id))
			tr.count++
		},
		"no session": func(tr *Tree) {
			id := tr.attach(rootID, []byte("e"), nil, node{acl: acl(tr)}, kin{owner: 7})
			tr.sum += tr.terms(pathHash([]byte("/e")), tr.at(id))
			tr.count++
		},
		"session's id": func(tr *Tree) {
			tr.sessions.add(session{id: ownerContainer})
			tr.sum += sessionTerm(&session{id: ownerContainer})
		},
		"no znode has": func(tr *Tree) {
			tr.acls.intern(wire.AppendACLs(nil, []wire.ACL{{Perms: 1, Scheme: "ip", ID: "::1"}}))
		},
		"digest":     func(tr *Tree) { tr.sum++ },
		"above":      nil, // see below
		"start with": nil,
		"counts":     nil,
	} {
		tr := New(Options{})
		if spoil != nil {
			spoil(tr)
		}
		var file bytes.Buffer
		v := tr.Freeze()
		require.NoError(t, v.Write(&file))
		b := file.Bytes()
		switch what {
		case "above": // the first child of the root claims to hang two levels up
			first := bytes.Index(b, []byte("\x09zookeeper"))
			b[first-1] = 2
		case "start with":
			b[0]++
		case "counts":
			clear(b[len(snapshotMagic)+3*8 : len(snapshotMagic)+4*8])
		}
		_, err := Restore(Options{}, bytes.NewReader(b))
		require.ErrorIs(t, err, errDamaged, what)
		require.ErrorContains(t, err, what)
	}
}
