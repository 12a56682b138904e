package sim

import (
	"encoding/binary"

	"quoll/jepsen/history"
	"quoll/zab"
)

// frame returns a request without its length, as Peer.Handle takes it.
func frame(xid zab.Xid, o *history.Op) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(xid))
	return history.AppendBody(binary.BigEndian.AppendUint32(b, uint32(o.Kind)), o)
}
