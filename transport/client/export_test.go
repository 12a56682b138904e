package client

import "quoll/zab"

// SetXid makes xid that of the last request.
func SetXid(c *Client, xid zab.Xid) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.xid = xid
}
