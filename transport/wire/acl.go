package wire

import "quoll/transport/jute"

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

// ACL is one entry of a znode's access control list.
type ACL struct {
	Perms  Perm
	Scheme string
	ID     string
}

// OpenACL is the list that lets everybody do everything.
var OpenACL = []ACL{{Perms: PermAll, Scheme: "world", ID: "anyone"}}

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

// DecodeACLs reads a vector of entries; a null vector is nil.
func DecodeACLs(d *jute.Decoder) []ACL {
	n := d.Count(12)
	if n < 0 || d.Err() != nil {
		return nil
	}
	acls := make([]ACL, n)
	for i := range acls {
		acls[i].Perms = Perm(d.Int())
		acls[i].Scheme = d.String()
		acls[i].ID = d.String()
	}
	return acls
}
