package wire

import (
	"bytes"

	"quoll/transport/jute"
)

// Perm is a set of permissions on a znode; unknown bits are kept.
type Perm int32

// The permissions.
const (
	PermRead   Perm = 1
	PermWrite  Perm = 2
	PermCreate Perm = 4
	PermDelete Perm = 8
	PermAdmin  Perm = 16
	PermAll    Perm = 31
)

// permLetters holds the letter of each permission in the order of zkCli's "cdrwa".
var permLetters = [...]struct {
	perm   Perm
	letter byte
}{{PermCreate, 'c'}, {PermDelete, 'd'}, {PermRead, 'r'}, {PermWrite, 'w'}, {PermAdmin, 'a'}}

// String returns the letters of the permissions, as "cdrwa". Unknown bits have none.
func (p Perm) String() string {
	var b []byte
	for _, l := range permLetters {
		if p&l.perm != 0 {
			b = append(b, l.letter)
		}
	}
	return string(b)
}

// ParsePerm reads permission letters in any order; false when one is not a permission.
func ParsePerm(s string) (Perm, bool) {
	var p Perm
next:
	for i := range len(s) {
		for _, l := range permLetters {
			if s[i] == l.letter {
				p |= l.perm
				continue next
			}
		}
		return 0, false
	}
	return p, true
}

// ACL is one entry of a znode's access control list.
type ACL struct {
	Perms  Perm
	Scheme string
	ID     string
}

// OpenACL is the list that lets everybody do everything. It is shared: nobody changes it.
var OpenACL = []ACL{{Perms: PermAll, Scheme: "world", ID: "anyone"}}

// openACL is OpenACL on the wire, the list of nearly every create.
var openACL = AppendACLs(nil, OpenACL)

// AppendACLs appends a vector of entries; nil is a null vector.
func AppendACLs(b []byte, acls []ACL) []byte {
	if acls == nil {
		return jute.AppendInt(b, -1)
	}
	b = jute.AppendInt(b, int32(len(acls)))
	for i := range acls {
		b = jute.AppendInt(b, int32(acls[i].Perms))
		b = jute.AppendString(b, acls[i].Scheme)
		b = jute.AppendString(b, acls[i].ID)
	}
	return b
}

// DecodeACLs reads a vector of entries; a null vector is nil. The result may be OpenACL itself,
// so that the common create allocates nothing: it must not be changed.
func DecodeACLs(d *jute.Decoder) []ACL {
	if bytes.HasPrefix(d.Rest(), openACL) {
		d.Skip(len(openACL))
		return OpenACL
	}
	n := d.Count(12)
	if n < 0 || d.Err() != nil {
		return nil
	}
	acls := make([]ACL, n)
	for i := range acls {
		acls[i].Perms = Perm(d.Int())
		acls[i].Scheme = decodeScheme(d)
		acls[i].ID = d.String()
	}
	return acls
}

// decodeScheme reads a string without allocating for the schemes that there are.
func decodeScheme(d *jute.Decoder) string {
	b := d.Buffer()
	switch string(b) {
	case "world":
		return "world"
	case "auth":
		return "auth"
	case "digest":
		return "digest"
	case "ip":
		return "ip"
	case "x509":
		return "x509"
	case "sasl":
		return "sasl"
	default:
		return string(b)
	}
}
