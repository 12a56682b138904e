package quoll

import (
	"encoding/binary"

	"quoll/transport/jute"
	"quoll/tree"
)

// ViewTable is tree.Views as a Peer uses it. The shell passes one behind a lock, since connections take
// and drop views beside each other.
type ViewTable interface {
	Take(t *tree.Tree) *tree.View
	Drop(v *tree.View)
}

// DefaultListMost is the ListMost of a PeerConfig that names none: encoding as many names takes a
// fraction of a millisecond.
const DefaultListMost = 10_000

// list is the names in a reply to getChildren that are too many to be encoded where they are asked for:
// all writes would wait for it, and behind them all reads. Their place in Conn.Out stays empty. They are
// put there, from a view of the tree at the zxid of the reply, by whoever writes Out to the socket.
// What is said to the client meanwhile joins Out behind the reply, so the order stays (R29).
//
// It lost: to go on with the encoding between writes and start over when the family has changed, which
// ends never where children come and go all the time.
type list struct {
	frame int // where in Out the frame begins
	at    int // where in Out the names belong
	count int
	view  *tree.View
	node  tree.NodeID
}

// listBytes is what a name takes in a reply, about.
const listBytes = 16

// appendList appends the names of the children of n, or leaves the place for them.
func (p *Peer) appendList(c *Conn, n tree.NodeID) {
	count := p.tree.NumChildren(n)
	if count < p.cfg.ListMost {
		p.appendChildren(c, n)
		return
	}
	c.Out = jute.AppendInt(c.Out, int32(count))
	c.lists = append(c.lists, list{frame: c.frame, at: len(c.Out), count: count, view: p.views.Take(p.tree), node: n})
}

// Unread is what the client has not read yet, in bytes; of lists about.
func (c *Conn) Unread() int {
	n := len(c.Out)
	for i := range c.lists {
		n += c.lists[i].count * listBytes
	}
	return n
}

// Waits reports whether a long list waits to be written: no further request is to be handled first.
func (c *Conn) Waits() bool { return len(c.lists) > 0 }

// Outgoing is what a client is to read next. It belongs to whoever took it from its Conn: all of its
// parts are to be asked for, or it is to be dropped.
type Outgoing struct {
	views ViewTable
	out   []byte
	from  int // what of out was handed out
	lists []list
}

// Take takes all of Out with its lists; spare is the memory of the next Out. The caller holds the lock
// of c.
func (p *Peer) Take(c *Conn, spare []byte) Outgoing {
	o := Outgoing{views: p.views, out: c.Out, lists: c.lists}
	if len(c.Out) > 0 {
		c.Out = spare[:0]
	}
	c.lists = nil
	return o
}

// Spare returns the memory of Out, for another Take once all parts are written; nil: it had none.
func (o *Outgoing) Spare() []byte { return o.out[:0] }

// Empty reports whether there is nothing.
func (o *Outgoing) Empty() bool { return len(o.out) == 0 && len(o.lists) == 0 }

// Long reports whether there are lists to encode, which takes time.
func (o *Outgoing) Long() bool { return len(o.lists) > 0 }

// Next returns the next part; one without bytes is the end. It takes as long as there are names to encode,
// and may run beside everything else.
func (o *Outgoing) Next() []byte {
	if len(o.lists) == 0 {
		part := o.out[o.from:]
		o.from = len(o.out)
		return part
	}
	l := o.lists[0]
	o.lists = o.lists[1:]
	if l.at > len(o.out) { // the client was given up, and Out with it
		o.views.Drop(l.view)
		return o.Next()
	}
	part := make([]byte, 0, l.at-o.from+l.count*listBytes)
	part = append(part, o.out[o.from:l.at]...)
	start := len(part)
	l.view.EachChild(l.node, func(name []byte) { part = jute.AppendBuffer(part, name) })
	o.views.Drop(l.view)
	length := part[l.frame-o.from:]
	binary.BigEndian.PutUint32(length, binary.BigEndian.Uint32(length)+uint32(len(part)-start))
	o.from = l.at
	return part
}

// Drop gives up what was not asked for.
func (o *Outgoing) Drop() {
	for i := range o.lists {
		o.views.Drop(o.lists[i].view)
	}
	o.lists = nil
}
