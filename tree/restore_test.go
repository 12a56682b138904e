package tree

import (
	"bytes"
	"fmt"
	"io"
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

// A large tree is indexed beside the reading: it is the same tree, and refuses the same.
func TestRestoreBeside(t *testing.T) {
	beside := Options{Go: func(f func()) { go f() }}
	const n = 10*indexBatchSize + 100
	grow := func(tr *Tree) {
		acl := tr.acls.intern(wire.AppendACLs(nil, wire.OpenACL))
		for i := range n {
			name := fmt.Appendf(nil, "n%06d", i)
			id := tr.attach(rootID, name, name, node{acl: acl}, kin{})
			tr.acls.refs[acl]++
			tr.sum += tr.terms(slab.Hash(seedRoot, name), tr.at(id))
			tr.count++
			tr.dataSize += int64(1 + 2*len(name))
		}
		tr.acls.release(acl)
	}
	for _, o := range []Options{{}, beside} {
		tr := New(Options{})
		grow(tr)
		require.NoError(t, tr.Verify())
		var file bytes.Buffer
		require.NoError(t, tr.Freeze().Write(&file))
		restored, err := Restore(o, bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		require.NoError(t, restored.Verify())
		require.Equal(t, tr.Digest(), restored.Digest())
		for i := range n {
			require.NotZero(t, restored.child(rootID, fmt.Appendf(nil, "n%06d", i)))
		}
		_, err = Restore(o, bytes.NewReader(file.Bytes()[:file.Len()/2]))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		twin := tr.attach(rootID, []byte("n000001"), nil, node{}, kin{})
		tr.at(twin).acl = tr.at(tr.child(rootID, []byte("n000002"))).acl
		tr.sum += tr.terms(slab.Hash(seedRoot, []byte("n000001")), tr.at(twin))
		tr.count++
		file.Reset()
		require.NoError(t, tr.Freeze().Write(&file))
		_, err = Restore(o, &file)
		require.ErrorContains(t, err, "a name comes twice")
	}
}
