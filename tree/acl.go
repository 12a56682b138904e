package tree

import (
	"crypto"
	_ "crypto/sha1" // linked for newHash
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"quoll/transport/wire"
	"quoll/zab"
)

// The schemes of access control entries and of connection identities (protocol 8.2). Every other
// scheme has no provider here: it can neither be set on a znode nor be authenticated.
const (
	schemeWorld  = "world"  // only "anyone", matches everybody
	schemeAuth   = "auth"   // never stored: stands for all authenticated identities of the setter
	schemeDigest = "digest" // user:base64(hash("user:password"))
	schemeIP     = "ip"     // address or address/bits
	schemeHost   = "host"   // domain suffix of the client's name; ZooKeeper dropped it in 3.2
	schemeSuper  = "super"  // an identity only; passes every check

	worldAnyone = "anyone"
)

// Rules judge access control lists. They never change: the identities of a connection come with
// each call, as they were when its request arrived (protocol 8.3). Any goroutine may use them.
type Rules struct {
	skip     bool
	digest   bool
	hash     crypto.Hash
	super    string // "" is nobody
	maxBytes int
}

// NewRules builds the rules that o asks for. It panics when o.DigestAlg is not ValidDigestAlg:
// whoever reads the configuration must have refused it.
func NewRules(o Options) *Rules {
	return &Rules{
		skip:     o.SkipACL,
		digest:   !o.DigestDisabled,
		hash:     mustHash(o.DigestAlg),
		super:    o.SuperDigest,
		maxBytes: o.maxTxnBytes(),
	}
}

// Check reports whether a connection with these identities has any of the permissions in perm on
// a znode with this list. There is no deny entry and no inheritance, so order does not matter. An
// empty list lets everybody in.
func (r *Rules) Check(acl []wire.ACL, perm wire.Perm, ids []zab.AuthID) bool {
	if r.skip || len(acl) == 0 {
		return true
	}
	for i := range ids {
		if ids[i].Scheme == schemeSuper {
			return true
		}
	}
	for i := range acl {
		if acl[i].Perms&perm != 0 && r.grants(&acl[i], ids) {
			return true
		}
	}
	return false
}

func (r *Rules) grants(entry *wire.ACL, ids []zab.AuthID) bool {
	if entry.Scheme == schemeWorld {
		return entry.ID == worldAnyone
	}
	for i := range ids {
		if ids[i].Scheme == entry.Scheme && r.matches(entry, ids[i].ID) {
			return true
		}
	}
	return false
}

// matches compares an entry with a connection's identity of the same scheme.
func (r *Rules) matches(entry *wire.ACL, id string) bool {
	switch entry.Scheme {
	case schemeDigest:
		return r.digest && entry.ID == id
	case schemeIP:
		return ipMatches(entry.ID, id)
	case schemeHost:
		return hostMatches(entry.ID, id)
	}
	return false
}

// FixUp turns the list of a create or a setACL into the one that is stored: duplicates are
// dropped, then `auth` becomes one entry for every authenticated identity of the connection. A
// list that is empty, names an unknown scheme or an id its scheme does not allow, or says `auth`
// for a connection that has not authenticated, is InvalidACL. The result may be acls itself.
func (r *Rules) FixUp(acls []wire.ACL, ids []zab.AuthID) ([]wire.ACL, wire.Code) {
	if len(acls) == 0 {
		return nil, wire.InvalidACL
	}
	if len(acls) == 1 && acls[0].Scheme == schemeWorld && acls[0].ID == worldAnyone {
		return acls, wire.OK // nearly every znode of the world
	}
	fixed := make([]wire.ACL, 0, len(acls))
	size := 0
	for _, entry := range dropDuplicates(acls) {
		from := len(fixed)
		switch {
		case entry.Scheme == schemeAuth:
			fixed = r.appendAuth(fixed, entry.Perms, ids)
		case r.valid(entry.Scheme, entry.ID):
			fixed = append(fixed, entry)
		}
		if len(fixed) == from {
			return nil, wire.InvalidACL
		}
		for i := range fixed[from:] {
			size += 12 + len(fixed[from+i].Scheme) + len(fixed[from+i].ID)
		}
		if size > r.maxBytes {
			return nil, wire.InvalidACL // expansion multiplies; no txn could hold it (R30)
		}
	}
	return fixed, wire.OK
}

// appendAuth expands one `auth` entry. An address and a host name prove nothing about who asks,
// and super is no scheme of a list, so only digest identities count.
func (r *Rules) appendAuth(acls []wire.ACL, perms wire.Perm, ids []zab.AuthID) []wire.ACL {
	for i := range ids {
		if ids[i].Scheme == schemeDigest && r.digest {
			acls = append(acls, wire.ACL{Perms: perms, Scheme: schemeDigest, ID: ids[i].ID})
		}
	}
	return acls
}

// dropDuplicates keeps the first of equal entries. Long lists take a set: a frame holds some
// 90,000 entries, and comparing all pairs would hold up the leader for seconds.
func dropDuplicates(acls []wire.ACL) []wire.ACL {
	const fewEntries = 16
	unique := make([]wire.ACL, 0, len(acls))
	if len(acls) <= fewEntries {
	next:
		for _, entry := range acls {
			for i := range unique {
				if unique[i] == entry {
					continue next
				}
			}
			unique = append(unique, entry)
		}
		return unique
	}
	seen := make(map[wire.ACL]struct{}, len(acls))
	for _, entry := range acls {
		if _, ok := seen[entry]; !ok {
			seen[entry] = struct{}{}
			unique = append(unique, entry)
		}
	}
	return unique
}

// valid reports whether an entry of this scheme may carry this id. ZooKeeper answers `world` with
// a null id by a marshalling error, the trace of a null pointer; here it is an id like any wrong one.
func (r *Rules) valid(scheme, id string) bool {
	switch scheme {
	case schemeWorld:
		return id == worldAnyone
	case schemeDigest:
		return r.digest && validDigestID(id)
	case schemeIP:
		_, ok := parseIPID(id)
		return ok
	case schemeHost:
		return validHostID(id)
	}
	return false
}

// Redact returns the list as getACL shows it to these identities: without ADMIN on it, the hash
// of a digest is replaced by "x". The result is acls itself when there is nothing to hide.
func (r *Rules) Redact(acls []wire.ACL, ids []zab.AuthID) []wire.ACL {
	if r.Check(acls, wire.PermAdmin, ids) {
		return acls
	}
	var redacted []wire.ACL
	for i := range acls {
		if acls[i].Scheme != schemeDigest {
			continue
		}
		if redacted == nil {
			redacted = append([]wire.ACL(nil), acls...)
		}
		user, _, _ := strings.Cut(acls[i].ID, ":")
		redacted[i].ID = user + ":x"
	}
	if redacted == nil {
		return acls
	}
	return redacted
}

// Authenticate returns the identities that an auth packet earns its connection. False refuses it:
// the answer is AuthFailed and the connection closes. A digest never fails for a wrong password,
// it is just another identity, but it fails without credentials (null). ip succeeds and adds
// nothing: the address is known from the start.
func (r *Rules) Authenticate(scheme string, auth []byte) ([]zab.AuthID, bool) {
	switch {
	case scheme == schemeIP:
		return nil, true
	case scheme == schemeDigest && r.digest && auth != nil:
		id := digestID(r.hash, auth)
		ids := []zab.AuthID{{Scheme: schemeDigest, ID: id}}
		if r.super != "" && id == r.super {
			ids = append(ids, zab.AuthID{Scheme: schemeSuper})
		}
		return ids, true
	}
	return nil, false
}

// hashes are the names of DigestAlg, in upper case as Java spells them, which ignores case.
var hashes = map[string]crypto.Hash{
	"":            crypto.SHA1,
	"SHA":         crypto.SHA1,
	"SHA1":        crypto.SHA1,
	"SHA-1":       crypto.SHA1,
	"SHA-224":     crypto.SHA224,
	"SHA-256":     crypto.SHA256,
	"SHA-384":     crypto.SHA384,
	"SHA-512":     crypto.SHA512,
	"SHA-512/224": crypto.SHA512_224,
	"SHA-512/256": crypto.SHA512_256,
	"SHA3-224":    crypto.SHA3_224,
	"SHA3-256":    crypto.SHA3_256,
	"SHA3-384":    crypto.SHA3_384,
	"SHA3-512":    crypto.SHA3_512,
}

// ValidDigestAlg reports whether alg names a hash for the digest scheme, as Java names them:
// SHA1, SHA-256, SHA-512, SHA3-256 and their kin, in any case. Empty means SHA1.
func ValidDigestAlg(alg string) bool {
	_, ok := hashes[strings.ToUpper(alg)]
	return ok
}

func mustHash(alg string) crypto.Hash {
	hash, ok := hashes[strings.ToUpper(alg)]
	if !ok {
		panic("tree: DigestAlg " + strconv.Quote(alg) + " was not checked by ValidDigestAlg")
	}
	return hash
}

// GenerateDigest returns the digest id of credentials "user:password" for use in lists and as
// SuperDigest. alg must be ValidDigestAlg, or it panics.
func GenerateDigest(alg, credentials string) string {
	return digestID(mustHash(alg), []byte(credentials))
}

// digestID hashes what the client sent, whole; the user is what comes before the first ':', or
// everything. The hash takes the bytes as they are, the user becomes text: it goes out to other
// clients, which may refuse a string that is not UTF-8.
func digestID(hash crypto.Hash, credentials []byte) string {
	h := hash.New()
	h.Write(credentials)
	user, _, _ := strings.Cut(string(credentials), ":")
	return strings.ToValidUTF8(user, "\uFFFD") + ":" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// ValidateSuperDigest says what is wrong with an Options.SuperDigest for hash alg, which must be
// ValidDigestAlg. A wrong one would silently make nobody super.
func ValidateSuperDigest(alg, superDigest string) error {
	size := mustHash(alg).Size()
	user, encoded, ok := strings.Cut(superDigest, ":")
	if !ok || user == "" {
		return fmt.Errorf("tree: super digest %q: want user:hash, such as super:D/InIHSb7yEEbrWz8b9l71RjZJU=", superDigest)
	}
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("tree: super digest of %q: hash is not base64; generate it anew: %w", user, err)
	}
	if len(sum) != size {
		return fmt.Errorf("tree: super digest of %q: hash has %d bytes, the digest algorithm makes %d; generate it with that algorithm",
			user, len(sum), size)
	}
	return nil
}

// validDigestID asks for exactly two parts around ':'. As in Java, which drops empty parts at the
// end, "user:" has one part and "user:hash:" has two.
func validDigestID(id string) bool {
	return strings.Count(strings.TrimRight(id, ":"), ":") == 1
}

// parseIPID parses address or address/bits. Octets with leading zeros are refused, for readers
// disagree on their base; so are zones and IPv4 addresses in IPv6 clothes, which would never match.
func parseIPID(id string) (netip.Prefix, bool) {
	text, bitsText, hasBits := strings.Cut(id, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return netip.Prefix{}, false
	}
	bits := addr.BitLen()
	if hasBits {
		bits, err = strconv.Atoi(bitsText)
		if err != nil || bits < 0 || bits > addr.BitLen() {
			return netip.Prefix{}, false
		}
	}
	return netip.PrefixFrom(addr, bits), true
}

// ipMatches compares the first bits of two addresses of the same family.
func ipMatches(entry, id string) bool {
	prefix, ok := parseIPID(entry)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddr(id)
	return err == nil && prefix.Contains(addr.Unmap().WithZone(""))
}

func validHostID(id string) bool {
	return id != "" && id[0] != '.' && id[len(id)-1] != '.' && !strings.Contains(id, "..")
}

// hostMatches reports whether the labels of entry are the last labels of name, in any case. The
// comparison that ZooKeeper 3.0 shipped was inverted; this is the one its documentation promised.
func hostMatches(entry, name string) bool {
	name = strings.TrimSuffix(name, ".") // reverse lookups return absolute names
	head := len(name) - len(entry)
	if head < 0 || !validHostID(entry) || head > 0 && name[head-1] != '.' {
		return false
	}
	for i := range len(entry) {
		if lowerASCII(entry[i]) != lowerASCII(name[head+i]) {
			return false
		}
	}
	return true
}

// lowerASCII folds what DNS folds. Unicode's folding would let a Kelvin sign pass for a k.
func lowerASCII(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
