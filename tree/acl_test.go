package tree_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// superTest is the digest that ZooKeeper's own documentation gives for super:test.
const superTest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="

func entry(perms wire.Perm, scheme, id string) wire.ACL {
	return wire.ACL{Perms: perms, Scheme: scheme, ID: id}
}

func ids(pairs ...string) []zab.AuthID {
	var list []zab.AuthID
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, zab.AuthID{Scheme: pairs[i], ID: pairs[i+1]})
	}
	return list
}

func TestGenerateDigest(t *testing.T) {
	require.Equal(t, superTest, tree.GenerateDigest("", "super:test"))
	require.Equal(t, superTest, tree.GenerateDigest("sha-1", "super:test"))
	sum := sha256.Sum256([]byte("u:p:q"))
	require.Equal(t, "u:"+base64.StdEncoding.EncodeToString(sum[:]), tree.GenerateDigest("SHA-256", "u:p:q"))
	require.True(t, strings.HasPrefix(tree.GenerateDigest("", "nocolon"), "nocolon:"))
	require.Panics(t, func() { tree.GenerateDigest("ROT13", "u:p") })
}

func TestDigestAlgorithmsAreLinked(t *testing.T) {
	sizes := map[string]int{
		"": 20, "SHA": 20, "SHA1": 20, "SHA-1": 20, "sha-224": 28, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64,
		"SHA-512/224": 28, "SHA-512/256": 32, "SHA3-224": 28, "SHA3-256": 32, "SHA3-384": 48, "SHA3-512": 64,
	}
	for alg, size := range sizes {
		require.True(t, tree.ValidDigestAlg(alg), alg)
		_, encoded, _ := strings.Cut(tree.GenerateDigest(alg, "u:p"), ":")
		sum, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		require.Len(t, sum, size, alg)
	}
	require.False(t, tree.ValidDigestAlg("ROT13"))
	require.Panics(t, func() { tree.NewRules(tree.Options{DigestAlg: "ROT13"}) })
}

func TestValidateSuperDigest(t *testing.T) {
	require.NoError(t, tree.ValidateSuperDigest("", superTest))
	require.NoError(t, tree.ValidateSuperDigest("SHA-256", tree.GenerateDigest("SHA-256", "super:test")))
	require.ErrorContains(t, tree.ValidateSuperDigest("SHA-256", superTest), "20 bytes")
	require.ErrorContains(t, tree.ValidateSuperDigest("", "super:no hash"), "base64")
	require.ErrorContains(t, tree.ValidateSuperDigest("", "super"), "user:hash")
	require.ErrorContains(t, tree.ValidateSuperDigest("", ":D/InIHSb7yEEbrWz8b9l71RjZJU="), "user:hash")
}

func TestCheck(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	bob := tree.GenerateDigest("", "bob:secret")
	for _, c := range []struct {
		name  string
		acl   []wire.ACL
		perm  wire.Perm
		ids   []zab.AuthID
		grant bool
	}{
		{"empty list", nil, wire.PermAdmin, nil, true},
		{"world", wire.OpenACL, wire.PermDelete, nil, true},
		{"world without the permission", []wire.ACL{entry(wire.PermRead, "world", "anyone")}, wire.PermWrite, nil, false},
		{"any of several permissions", []wire.ACL{entry(wire.PermRead, "world", "anyone")}, wire.PermRead | wire.PermAdmin, nil, true},
		{"world, other id", []wire.ACL{entry(wire.PermAll, "world", "bob")}, wire.PermRead, nil, false},
		{"super", []wire.ACL{entry(0, "world", "anyone")}, wire.PermAll, ids("super", ""), true},
		{"digest", []wire.ACL{entry(wire.PermAll, "digest", bob)}, wire.PermRead, ids("ip", "1.2.3.4", "digest", bob), true},
		{"digest of another", []wire.ACL{entry(wire.PermAll, "digest", bob)}, wire.PermRead, ids("digest", "bob:x"), false},
		{"same id, other scheme", []wire.ACL{entry(wire.PermAll, "digest", bob)}, wire.PermRead, ids("host", bob), false},
		{"second entry", []wire.ACL{entry(1, "digest", bob), entry(2, "ip", "1.2.3.4")}, wire.PermWrite, ids("ip", "1.2.3.4"), true},
		{"stored auth matches nobody", []wire.ACL{entry(wire.PermAll, "auth", "")}, wire.PermRead, ids("digest", bob), false},
		{"scheme without provider", []wire.ACL{entry(wire.PermAll, "x509", "CN=a")}, wire.PermRead, ids("x509", "CN=a"), false},
		{"host", []wire.ACL{entry(wire.PermAll, "host", "corp.com")}, wire.PermRead, ids("host", "A.Corp.com"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.grant, rules.Check(c.acl, c.perm, c.ids))
		})
	}
	skip := tree.NewRules(tree.Options{SkipACL: true})
	require.True(t, skip.Check([]wire.ACL{entry(0, "digest", bob)}, wire.PermAll, nil))
	disabled := tree.NewRules(tree.Options{DigestDisabled: true})
	require.False(t, disabled.Check([]wire.ACL{entry(31, "digest", bob)}, wire.PermAll, ids("digest", bob)))
}

func TestIP(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	for _, c := range []struct {
		acl, addr string
		match     bool
	}{
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"10.1.2.3/24", "10.1.2.99", true}, // bits beyond the prefix do not count
		{"10.1.2.3/24", "10.1.3.99", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"10.0.0.0/7", "11.255.0.1", true},
		{"10.1.2.3", "::ffff:10.1.2.3", true}, // how a dual-stack socket spells it
		{"::1", "::1", true},
		{"2001:db8::/32", "2001:db8:1:2::3", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"::/0", "1.2.3.4", false},
		{"fe80::1", "fe80::1%eth0", true},
		{"10.1.2.3", "nonsense", false},
		{"10.1.2.3", "", false},
	} {
		acl := []wire.ACL{entry(wire.PermRead, "ip", c.acl)}
		require.Equal(t, c.match, rules.Check(acl, wire.PermRead, ids("ip", c.addr)), "%+v", c)
		_, code := rules.FixUp(acl, nil)
		require.Equal(t, wire.OK, code, c.acl)
	}
	for _, id := range []string{
		"", "1.2.3", "1.2.3.4/33", "256.1.1.1", "localhost", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/a", "1.2.3.4/8/8",
		"::1/129", "::g", "fe80::1%eth0", "::ffff:1.2.3.4", "010.0.0.1", "1.2.3.4.5", " 1.2.3.4",
	} {
		_, code := rules.FixUp([]wire.ACL{entry(wire.PermRead, "ip", id)}, nil)
		require.Equal(t, wire.InvalidACL, code, id)
		require.False(t, rules.Check([]wire.ACL{entry(wire.PermRead, "ip", id)}, wire.PermRead, ids("ip", "1.2.3.4")), id)
	}
}

func TestHost(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	for _, c := range []struct {
		acl, name string
		match     bool
	}{
		{"corp.com", "a.corp.com", true},
		{"corp.com", "corp.com", true},
		{"CORP.com", "a.b.corp.COM", true},
		{"corp.com", "a.corp.com.", true},
		{"corp.com", "acorp.com", false},
		{"a.corp.com", "corp.com", false},
		{"com", "corp.com", true},
		{"corp.com", "corp.com.evil.org", false},
		{"corp.com", "", false},
		{"bank", "ban\u212a", false}, // a Kelvin sign is no k
	} {
		acl := []wire.ACL{entry(wire.PermRead, "host", c.acl)}
		require.Equal(t, c.match, rules.Check(acl, wire.PermRead, ids("host", c.name)), "%+v", c)
		_, code := rules.FixUp(acl, nil)
		require.Equal(t, wire.OK, code, c.acl)
	}
	for _, id := range []string{"", ".", ".com", "com.", "a..b"} {
		_, code := rules.FixUp([]wire.ACL{entry(wire.PermRead, "host", id)}, nil)
		require.Equal(t, wire.InvalidACL, code, id)
		require.False(t, rules.Check([]wire.ACL{entry(1, "host", id)}, 1, ids("host", "a.com")), id)
	}
}

// Labels compared one by one from the right are the definition that hostMatches must equal.
func TestHostModel(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	name := rapid.StringMatching(`[aAbB]{1,2}(\.[aAbB]{1,2}){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		suffix, host := name.Draw(t, "suffix"), name.Draw(t, "host")
		want := true
		labels, parts := strings.Split(suffix, "."), strings.Split(host, ".")
		for i := 1; i <= len(labels); i++ {
			want = want && i <= len(parts) && strings.EqualFold(labels[len(labels)-i], parts[len(parts)-i])
		}
		require.Equal(t, want, rules.Check([]wire.ACL{entry(1, "host", suffix)}, 1, ids("host", host)))
	})
}

func TestFixUp(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	two := ids("ip", "1.2.3.4", "digest", "a:1", "super", "", "host", "x.com", "digest", "b:2")
	for _, c := range []struct {
		name string
		in   []wire.ACL
		ids  []zab.AuthID
		out  []wire.ACL // nil: InvalidACL
	}{
		{"null list", nil, two, nil},
		{"empty list", []wire.ACL{}, two, nil},
		{"open", wire.OpenACL, nil, wire.OpenACL},
		{"unknown bits stay", []wire.ACL{entry(255, "world", "anyone")}, nil, []wire.ACL{entry(255, "world", "anyone")}},
		{
			"duplicates, order kept",
			[]wire.ACL{entry(1, "digest", "a:1"), entry(1, "world", "anyone"), entry(1, "digest", "a:1"), entry(2, "digest", "a:1")},
			nil,
			[]wire.ACL{entry(1, "digest", "a:1"), entry(1, "world", "anyone"), entry(2, "digest", "a:1")},
		},
		{
			"auth stands for every digest",
			[]wire.ACL{entry(31, "auth", "whatever"), entry(1, "world", "anyone")},
			two,
			[]wire.ACL{entry(31, "digest", "a:1"), entry(31, "digest", "b:2"), entry(1, "world", "anyone")},
		},
		{"auth, null id", []wire.ACL{entry(31, "auth", "")}, two, []wire.ACL{entry(31, "digest", "a:1"), entry(31, "digest", "b:2")}},
		{"auth without identity", []wire.ACL{entry(31, "auth", "")}, nil, nil},
		{"auth with unproven ones", []wire.ACL{entry(31, "auth", "")}, ids("ip", "1.2.3.4", "super", "", "host", "x.com"), nil},
		{"world, other id", []wire.ACL{entry(31, "world", "bob")}, two, nil},
		{"world, null id", []wire.ACL{entry(31, "world", "")}, two, nil},
		{"null scheme", []wire.ACL{entry(31, "", "")}, two, nil},
		{"super", []wire.ACL{entry(31, "super", "a:b")}, two, nil},
		{"unknown scheme", []wire.ACL{entry(31, "foo", "a:b")}, two, nil},
		{"x509", []wire.ACL{entry(31, "x509", "CN=a")}, two, nil},
		{"one bad entry", []wire.ACL{entry(1, "world", "anyone"), entry(31, "digest", "ab")}, two, nil},
		{"digest in two parts", []wire.ACL{entry(1, "digest", "a:b")}, nil, []wire.ACL{entry(1, "digest", "a:b")}},
		{"digest, empty parts at the end", []wire.ACL{entry(1, "digest", "a:b::")}, nil, []wire.ACL{entry(1, "digest", "a:b::")}},
		{"digest, empty user", []wire.ACL{entry(1, "digest", ":b")}, nil, []wire.ACL{entry(1, "digest", ":b")}},
		{"digest, one part", []wire.ACL{entry(1, "digest", "a:")}, nil, nil},
		{"digest, no part", []wire.ACL{entry(1, "digest", ":")}, nil, nil},
		{"digest, three parts", []wire.ACL{entry(1, "digest", "a:b:c")}, nil, nil},
		{"digest, empty", []wire.ACL{entry(1, "digest", "")}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := rules.FixUp(c.in, c.ids)
			require.Equal(t, c.out, out)
			require.Equal(t, c.out == nil, code == wire.InvalidACL)
		})
	}
	disabled := tree.NewRules(tree.Options{DigestDisabled: true})
	_, code := disabled.FixUp([]wire.ACL{entry(1, "digest", "a:b")}, nil)
	require.Equal(t, wire.InvalidACL, code)
	_, code = disabled.FixUp([]wire.ACL{entry(1, "auth", "")}, two)
	require.Equal(t, wire.InvalidACL, code)
}

// Long lists are made unique by a set, short ones pair by pair; both must agree.
func TestFixUpDropsDuplicatesOfLongLists(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	var in, want []wire.ACL
	for i := range 1000 {
		e := entry(wire.Perm(i%40), "digest", fmt.Sprintf("u:%d", i%7))
		in = append(in, e)
		if i < 280 {
			want = append(want, e)
		}
	}
	out, code := rules.FixUp(in, nil)
	require.Equal(t, wire.OK, code)
	require.Equal(t, want, out)
}

// Entries times identities is more than came over the wire, so the product is bounded.
func TestFixUpBoundsExpansion(t *testing.T) {
	rules := tree.NewRules(tree.Options{MaxTxnBytes: 1 << 10})
	var many []zab.AuthID
	var list []wire.ACL
	for i := range 10 {
		many = append(many, ids("digest", fmt.Sprintf("user:%d", i))...)
		list = append(list, entry(wire.Perm(i), "auth", ""))
	}
	_, code := rules.FixUp(list[:1], many)
	require.Equal(t, wire.OK, code)
	_, code = rules.FixUp(list, many)
	require.Equal(t, wire.InvalidACL, code)
}

func TestAuthenticate(t *testing.T) {
	rules := tree.NewRules(tree.Options{SuperDigest: superTest})
	got, ok := rules.Authenticate("digest", []byte("super:test"))
	require.True(t, ok)
	require.Equal(t, ids("digest", superTest, "super", ""), got)

	got, ok = rules.Authenticate("digest", []byte("super:wrong"))
	require.True(t, ok, "a wrong password is another identity")
	require.Len(t, got, 1)

	got, ok = rules.Authenticate("digest", []byte("b\xffb:p"))
	require.True(t, ok)
	require.True(t, strings.HasPrefix(got[0].ID, "b\uFFFDb:"), "the user is text")

	_, ok = rules.Authenticate("digest", nil)
	require.False(t, ok, "no credentials at all")
	got, ok = rules.Authenticate("digest", []byte{})
	require.True(t, ok)
	require.Equal(t, ids("digest", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="), got)

	got, ok = rules.Authenticate("ip", []byte("anything"))
	require.True(t, ok)
	require.Empty(t, got)

	for _, scheme := range []string{"", "world", "auth", "sasl", "host", "super", "x509", "foo", "Digest"} {
		got, ok = rules.Authenticate(scheme, []byte("super:test"))
		require.False(t, ok, scheme)
		require.Empty(t, got)
	}
	disabled := tree.NewRules(tree.Options{SuperDigest: superTest, DigestDisabled: true})
	_, ok = disabled.Authenticate("digest", []byte("super:test"))
	require.False(t, ok)
	none := tree.NewRules(tree.Options{})
	got, _ = none.Authenticate("digest", []byte("super:test"))
	require.Len(t, got, 1, "without SuperDigest nobody is super")
	strong := tree.NewRules(tree.Options{DigestAlg: "SHA-512"})
	got, _ = strong.Authenticate("digest", []byte("u:p"))
	require.Equal(t, tree.GenerateDigest("SHA-512", "u:p"), got[0].ID)
}

func TestRedact(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	acl := []wire.ACL{entry(31, "digest", "bob:h"), entry(1, "world", "anyone"), entry(1, "ip", "1.2.3.4")}
	before := append([]wire.ACL(nil), acl...)
	require.Equal(t,
		[]wire.ACL{entry(31, "digest", "bob:x"), entry(1, "world", "anyone"), entry(1, "ip", "1.2.3.4")},
		rules.Redact(acl, nil))
	require.Equal(t, before, acl, "the stored list is shared")
	require.Equal(t, acl, rules.Redact(acl, ids("digest", "bob:h")))
	require.Equal(t, acl, rules.Redact(acl, ids("super", "")))
	read := []wire.ACL{entry(1, "world", "anyone")}
	require.Equal(t, read, rules.Redact(read, nil))
}

func TestCheckAllocatesNothing(t *testing.T) {
	rules := tree.NewRules(tree.Options{})
	acl := []wire.ACL{
		entry(1, "digest", "bob:h"), entry(1, "host", "corp.com"), entry(1, "ip", "10.0.0.0/8"), entry(1, "ip", "2001:db8::/32"),
	}
	who := ids("ip", "11.2.3.4", "host", "a.example.com", "digest", "alice:h")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = rules.Check(acl, wire.PermRead, who)
		_, _ = rules.FixUp(wire.OpenACL, who)
	}))
}

// FuzzFixUp: whatever a client sends is refused or becomes a list that a second look leaves alone.
func FuzzFixUp(f *testing.F) {
	f.Add("world", "anyone", "ip", "10.0.0.1/8")
	f.Add("auth", "", "digest", "a:b")
	f.Add("host", "corp.com", "ip", "::1/64")
	f.Add("", "", "super", "")
	f.Fuzz(func(t *testing.T, scheme1, id1, scheme2, id2 string) {
		rules := tree.NewRules(tree.Options{})
		who := ids("digest", "u:p", "ip", "10.0.0.1", "host", "a.corp.com")
		in := []wire.ACL{entry(1, scheme1, id1), entry(1, scheme2, id2)}
		rules.Check(in, wire.PermRead, who)
		rules.Redact(in, who)
		out, code := rules.FixUp(in, who)
		if code != wire.OK {
			require.Equal(t, wire.InvalidACL, code)
			return
		}
		again, code := rules.FixUp(out, nil)
		require.Equal(t, wire.OK, code)
		require.Subset(t, out, again)
	})
}
