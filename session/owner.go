package session

import "quoll/zab"

// Owners is the leader's table of which server may write for a session (R27). A server is named
// by the Boot of its requests, so one that restarted is another; which connection of that server
// it is needs no entry, since a server closes the old connection of a session when the new one
// asks for it.
//
// An owner is set by Move alone, for every kind of connection and request, the leader's own
// clients included: when a createSession of this leadership is applied, and when a revalidation
// succeeds. Each of the spurious and the permanent "session moved" of ZooKeeper was a path on
// which one of these was missing or happened again (ZOOKEEPER-484, 710, 907, 2886). In
// particular the initial history that a new leader applies moves nothing: its table starts empty,
// for who had a session under the last leader may be elsewhere by now.
//
// A session without an entry is adopted by the first server that writes for it. That may be one
// the session has left, with a request that the last leader never ordered. The order of the
// session's writes stays right: its client gave that connection up, so the outcome of the
// request was unknown to it, and a request is still ordered once at most. The server that the
// client is with now is then told "moved", closes the connection, and the client's next handshake
// is a Move, after which nothing is in doubt as long as this leader leads. Waiting for all servers
// to report their sessions first would cost every failover a round trip to spare this one a
// reconnect.
//
// What must not be asked about: createSession, which has no owner yet; closeSession, which the
// old server may still bring, as any may; and what the leader itself requests.
type Owners struct {
	owners map[zab.SessionID]uint64
}

// NewOwners returns an empty table, for a new leadership (R6).
func NewOwners() *Owners { return &Owners{owners: make(map[zab.SessionID]uint64)} }

// Move makes the server of boot the owner of a session, whoever had it. The newest handshake wins.
func (o *Owners) Move(id zab.SessionID, boot uint64) { o.owners[id] = boot }

// Owner returns the owner of a session; false when it has none yet.
func (o *Owners) Owner(id zab.SessionID) (boot uint64, ok bool) {
	boot, ok = o.owners[id]
	return boot, ok
}

// Admit reports whether the server of boot may write for a session that lives, and makes it the
// owner if there is none. False means SessionMoved: the txn is an error and changes nothing, and
// the server closes that client's connection without an answer (protocol 2.4). The entry of a
// session that is over would stay, so the caller asks only about sessions that the tree has.
func (o *Owners) Admit(id zab.SessionID, boot uint64) bool {
	owner, ok := o.owners[id]
	if !ok {
		o.owners[id] = boot
		return true
	}
	return owner == boot
}

// Forget drops a session whose closeSession is applied.
func (o *Owners) Forget(id zab.SessionID) { delete(o.owners, id) }

// Len returns the number of sessions that have an owner.
func (o *Owners) Len() int { return len(o.owners) }
