package client

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// The methods of this file each send one request and wait for its reply. A refusal is an *Error
// that holds the server's code. When ctx ends first the request goes on without its caller, and
// may happen.

// decoder is a result that a reply's body is read into.
type decoder interface {
	Decode(d *jute.Decoder)
}

// call sends a request and waits. The Body it returns is the caller's.
func (c *Client) call(ctx context.Context, op wire.Op, path string, encode func([]byte) []byte) (Reply, error) {
	replies := make(chan Reply, 1)
	c.Do(op, encode, func(r Reply) {
		r.Body = bytes.Clone(r.Body)
		replies <- r
	})
	select {
	case r := <-replies:
		if r.Err == nil && r.Code != wire.OK {
			return r, &Error{Op: op, Path: path, Code: r.Code}
		}
		return r, r.Err
	case <-ctx.Done():
		return Reply{}, fmt.Errorf("client: %s %s: no reply yet, the request may happen: %w", op, path, context.Cause(ctx))
	}
}

// ask is call with the reading of the result.
func (c *Client) ask(
	ctx context.Context, op wire.Op, path string, encode func([]byte) []byte, result decoder,
) (zab.Zxid, error) {
	r, err := c.call(ctx, op, path, encode)
	if err != nil {
		return zab.Zxid(max(r.Zxid, 0)), err
	}
	d := jute.NewDecoder(r.Body)
	result.Decode(&d)
	if d.Err() != nil {
		return 0, fmt.Errorf("%w: reply to %s %s: %w", ErrProtocol, op, path, d.Err())
	}
	return zab.Zxid(r.Zxid), nil
}

// Create makes a znode and returns its name, which a sequential mode completes. Mode
// wire.Container makes a container; the TTL modes belong to CreateTTL. acl nil: wire.OpenACL.
func (c *Client) Create(ctx context.Context, path string, data []byte, acl []wire.ACL, mode wire.CreateMode) (string, error) {
	op := wire.OpCreate
	if mode == wire.Container {
		op = wire.OpCreateContainer // of whose answer the name is the first field
	}
	var result wire.PathResponse
	_, err := c.ask(ctx, op, path, createRequest(path, data, acl, mode).Append, &result)
	return string(result.Path), err
}

// Create2 is Create with the new znode's Stat.
func (c *Client) Create2(ctx context.Context, path string, data []byte, acl []wire.ACL, mode wire.CreateMode) (string, wire.Stat, error) {
	op := wire.OpCreate2
	if mode == wire.Container {
		op = wire.OpCreateContainer
	}
	var result wire.PathStatResponse
	_, err := c.ask(ctx, op, path, createRequest(path, data, acl, mode).Append, &result)
	return string(result.Path), result.Stat, err
}

// CreateTTL makes a znode that goes when it was not changed and had no children for ttl, which
// counts in milliseconds. mode is one of the TTL modes.
func (c *Client) CreateTTL(
	ctx context.Context, path string, data []byte, acl []wire.ACL, mode wire.CreateMode, ttl time.Duration,
) (string, wire.Stat, error) {
	r := wire.CreateTTLRequest{CreateRequest: *createRequest(path, data, acl, mode), TTLMs: ttl.Milliseconds()}
	var result wire.PathStatResponse
	_, err := c.ask(ctx, wire.OpCreateTTL, path, r.Append, &result)
	return string(result.Path), result.Stat, err
}

func createRequest(path string, data []byte, acl []wire.ACL, mode wire.CreateMode) *wire.CreateRequest {
	if acl == nil {
		acl = wire.OpenACL
	}
	return &wire.CreateRequest{Path: []byte(path), Data: data, ACL: acl, Flags: mode}
}

// Delete removes a znode of this version, or wire.AnyVersion.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	r := wire.PathVersionRequest{Path: []byte(path), Version: version}
	_, err := c.call(ctx, wire.OpDelete, path, r.Append)
	return err
}

// SetData replaces the data of a znode of this version, or wire.AnyVersion.
func (c *Client) SetData(ctx context.Context, path string, data []byte, version int32) (wire.Stat, error) {
	r := wire.SetDataRequest{Path: []byte(path), Data: data, Version: version}
	var stat wire.Stat
	_, err := c.ask(ctx, wire.OpSetData, path, r.Append, &stat)
	return stat, err
}

// Exists returns the Stat of a znode. That it is not there is an *Error with wire.NoNode.
func (c *Client) Exists(ctx context.Context, path string) (wire.Stat, error) {
	return c.exists(ctx, wire.PathWatchRequest{Path: []byte(path)})
}

// WatchExists is Exists and sets a watch, also on a znode that is not there.
func (c *Client) WatchExists(ctx context.Context, path string) (wire.Stat, error) {
	return c.exists(ctx, wire.PathWatchRequest{Path: []byte(path), Watch: true})
}

func (c *Client) exists(ctx context.Context, r wire.PathWatchRequest) (wire.Stat, error) {
	var stat wire.Stat
	_, err := c.ask(ctx, wire.OpExists, string(r.Path), r.Append, &stat)
	return stat, err
}

// Data returns the data of a znode; nil is null.
func (c *Client) Data(ctx context.Context, path string) ([]byte, wire.Stat, error) {
	return c.data(ctx, wire.PathWatchRequest{Path: []byte(path)})
}

// WatchData is Data and sets a watch.
func (c *Client) WatchData(ctx context.Context, path string) ([]byte, wire.Stat, error) {
	return c.data(ctx, wire.PathWatchRequest{Path: []byte(path), Watch: true})
}

func (c *Client) data(ctx context.Context, r wire.PathWatchRequest) ([]byte, wire.Stat, error) {
	var result wire.DataResponse
	_, err := c.ask(ctx, wire.OpGetData, string(r.Path), r.Append, &result)
	return result.Data, result.Stat, err
}

// Children returns the names of a znode's children, in no order, and its own Stat.
func (c *Client) Children(ctx context.Context, path string) ([]string, wire.Stat, error) {
	return c.children(ctx, wire.PathWatchRequest{Path: []byte(path)})
}

// WatchChildren is Children and sets a watch.
func (c *Client) WatchChildren(ctx context.Context, path string) ([]string, wire.Stat, error) {
	return c.children(ctx, wire.PathWatchRequest{Path: []byte(path), Watch: true})
}

func (c *Client) children(ctx context.Context, r wire.PathWatchRequest) ([]string, wire.Stat, error) {
	var result wire.Children2Response
	_, err := c.ask(ctx, wire.OpGetChildren2, string(r.Path), r.Append, &result)
	return result.Children, result.Stat, err
}

// ACL returns the access control list of a znode, which must not be changed.
func (c *Client) ACL(ctx context.Context, path string) ([]wire.ACL, wire.Stat, error) {
	r := wire.PathRequest{Path: []byte(path)}
	var result wire.ACLResponse
	_, err := c.ask(ctx, wire.OpGetACL, path, r.Append, &result)
	return result.ACL, result.Stat, err
}

// SetACL replaces the access control list of a znode whose Aversion is version, or
// wire.AnyVersion.
func (c *Client) SetACL(ctx context.Context, path string, acl []wire.ACL, version int32) (wire.Stat, error) {
	r := wire.SetACLRequest{Path: []byte(path), ACL: acl, Version: version}
	var stat wire.Stat
	_, err := c.ask(ctx, wire.OpSetACL, path, r.Append, &stat)
	return stat, err
}

// Sync brings the server up to date with the leader and returns its zxid: on Quoll a read after
// it sees every write that was acknowledged before it began. path may be any.
func (c *Client) Sync(ctx context.Context, path string) (zab.Zxid, error) {
	r := wire.PathRequest{Path: []byte(path)}
	var result wire.PathResponse
	return c.ask(ctx, wire.OpSync, path, r.Append, &result)
}

// Ephemerals returns the paths of this session's ephemerals that begin with prefix, in no order.
func (c *Client) Ephemerals(ctx context.Context, prefix string) ([]string, error) {
	r := wire.PathRequest{Path: []byte(prefix)}
	var result wire.ChildrenResponse
	_, err := c.ask(ctx, wire.OpGetEphemerals, prefix, r.Append, &result)
	return result.Children, err
}

// AllChildrenNumber returns the number of all descendants of a znode.
func (c *Client) AllChildrenNumber(ctx context.Context, path string) (int, error) {
	r := wire.PathRequest{Path: []byte(path)}
	var result wire.CountResponse
	_, err := c.ask(ctx, wire.OpGetAllChildrenNumber, path, r.Append, &result)
	return int(result.Count), err
}

// Multi performs all ops or none. When one fails the error is its *Error, and the results tell of
// every one.
func (c *Client) Multi(ctx context.Context, ops ...wire.MultiOp) ([]wire.MultiResult, error) {
	results, err := c.multi(ctx, wire.OpMulti, ops)
	for i := range results {
		if code := results[i].Code; code != wire.OK && i < len(ops) {
			return results, &Error{Op: ops[i].Op, Path: string(ops[i].Path), Code: code}
		}
	}
	return results, err
}

// MultiRead performs reads, getData and getChildren, each of which may fail by itself: the codes
// are in the results.
func (c *Client) MultiRead(ctx context.Context, ops ...wire.MultiOp) ([]wire.MultiResult, error) {
	return c.multi(ctx, wire.OpMultiRead, ops)
}

// multiResults reads a list of results.
type multiResults []wire.MultiResult

func (m *multiResults) Decode(d *jute.Decoder) {
	for {
		var r wire.MultiResult
		if !r.Decode(d) {
			return
		}
		*m = append(*m, r)
	}
}

func (c *Client) multi(ctx context.Context, op wire.Op, ops []wire.MultiOp) ([]wire.MultiResult, error) {
	var results multiResults
	_, err := c.ask(ctx, op, "", func(b []byte) []byte {
		for i := range ops {
			b = ops[i].Append(b)
		}
		return wire.MultiEnd.Append(b)
	}, &results)
	return results, err
}

// AddWatch sets a watch that stays when it fires: wire.AddWatchPersistent or
// wire.AddWatchPersistentRecursive.
func (c *Client) AddWatch(ctx context.Context, path string, mode int32) error {
	r := wire.AddWatchRequest{Path: []byte(path), Mode: mode}
	var result wire.ErrorResponse
	_, err := c.ask(ctx, wire.OpAddWatch, path, r.Append, &result)
	if err == nil && result.Code != wire.OK {
		return &Error{Op: wire.OpAddWatch, Path: path, Code: result.Code}
	}
	return err
}

// CheckWatches asks whether this connection has a watch of this type, such as wire.WatcherAny;
// wire.NoWatcher when not.
func (c *Client) CheckWatches(ctx context.Context, path string, watcherType int32) error {
	r := wire.WatcherRequest{Path: []byte(path), Type: watcherType}
	_, err := c.call(ctx, wire.OpCheckWatches, path, r.Append)
	return err
}

// RemoveWatches removes this connection's watches of this type; wire.NoWatcher when there is none.
func (c *Client) RemoveWatches(ctx context.Context, path string, watcherType int32) error {
	r := wire.WatcherRequest{Path: []byte(path), Type: watcherType}
	_, err := c.call(ctx, wire.OpRemoveWatches, path, r.Append)
	return err
}

// Auth adds an identity to the session, for this connection and all that follow.
func (c *Client) Auth(ctx context.Context, scheme string, auth []byte) error {
	r := wire.AuthRequest{Scheme: scheme, Auth: auth}
	if _, err := c.call(ctx, wire.OpAuth, "", r.Append); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = append(c.known, identity{scheme, bytes.Clone(auth)})
	return nil
}

// WhoAmI returns the identities of the connection, its address among them.
func (c *Client) WhoAmI(ctx context.Context) ([]wire.ClientInfo, error) {
	var result wire.WhoAmIResponse
	_, err := c.ask(ctx, wire.OpWhoAmI, "", nil, &result)
	return result.Identities, err
}
