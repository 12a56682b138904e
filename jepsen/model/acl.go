package model

import (
	"net/netip"
	"slices"
	"strings"

	"quoll/transport/wire"
	"quoll/zab"
)

// Allows reports whether a connection with these identities has one of perms on a znode with this
// list (protocol 8.1): somebody super has all, and any entry may give what no entry can take.
func Allows(acl []wire.ACL, perms wire.Perm, auth []zab.AuthID) bool {
	isSuper := func(id zab.AuthID) bool { return id.Scheme == "super" }
	gives := func(entry wire.ACL) bool {
		is := func(id zab.AuthID) bool { return id.Scheme == entry.Scheme && matches(entry, id.ID) }
		return entry.Perms&perms != 0 && (isWorld(entry) || slices.ContainsFunc(auth, is))
	}
	return slices.ContainsFunc(auth, isSuper) || slices.ContainsFunc(acl, gives)
}

func isWorld(entry wire.ACL) bool { return entry.Scheme == "world" && entry.ID == "anyone" }

// matches compares an entry with an identity of the same scheme (protocol 8.2, 8.7).
func matches(entry wire.ACL, id string) bool {
	switch entry.Scheme {
	case "digest":
		return entry.ID == id
	case "ip":
		network, ok := parseNetwork(entry.ID)
		addr, err := netip.ParseAddr(id)
		return ok && err == nil && network.Contains(addr)
	case "host":
		return strings.HasSuffix("."+id, "."+entry.ID)
	default:
		return false
	}
}

// valid reports whether a list may have this entry as it is. A scheme that nobody provides may not.
func valid(entry wire.ACL) bool {
	switch entry.Scheme {
	case "world":
		return isWorld(entry)
	case "digest": // as Java splits, which forgets empty parts at the end
		return len(strings.Split(strings.TrimRight(entry.ID, ":"), ":")) == 2
	case "ip":
		_, ok := parseNetwork(entry.ID)
		return ok
	case "host":
		return !slices.Contains(strings.Split(entry.ID, "."), "")
	default:
		return false
	}
}

// parseNetwork reads address or address/bits.
func parseNetwork(id string) (netip.Prefix, bool) {
	if strings.Contains(id, "/") {
		network, err := netip.ParsePrefix(id)
		return network, err == nil
	}
	addr, err := netip.ParseAddr(id)
	return netip.PrefixFrom(addr, addr.BitLen()), err == nil && addr.Zone() == "" && !addr.Is4In6()
}

// fixUp makes what is stored of the list of a create or a setACL (protocol 8.3): without
// duplicates, and with the identities of who asks in place of `auth`. Of those only a digest
// proves who that is. False is InvalidACL.
func fixUp(acl []wire.ACL, auth []zab.AuthID) (fixed []wire.ACL, ok bool) {
	for i, entry := range acl {
		switch {
		case slices.Contains(acl[:i], entry):
		case entry.Scheme == "auth":
			before := len(fixed)
			for _, id := range auth {
				if id.Scheme == "digest" {
					fixed = append(fixed, wire.ACL{Perms: entry.Perms, Scheme: id.Scheme, ID: id.ID})
				}
			}
			if len(fixed) == before {
				return nil, false
			}
		case valid(entry):
			fixed = append(fixed, entry)
		default:
			return nil, false
		}
	}
	return fixed, len(fixed) > 0
}

// redact is what getACL shows: hashes are for those who could change the list anyway (8.1).
func redact(acl []wire.ACL, auth []zab.AuthID) []wire.ACL {
	if Allows(acl, wire.PermAdmin, auth) {
		return acl
	}
	acl = slices.Clone(acl)
	for i := range acl {
		if acl[i].Scheme == "digest" {
			user, _, _ := strings.Cut(acl[i].ID, ":")
			acl[i].ID = user + ":x"
		}
	}
	return acl
}
