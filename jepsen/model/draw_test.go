package model_test

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
	"quoll/zab"
)

// chooser draws a number of [0, n).
type chooser func(n int) int

func pick[T any](c chooser, from ...T) T { return from[c(len(from))] }

// Identities of connections.
var (
	nobody    = []zab.AuthID{{Scheme: "ip", ID: "10.0.0.1"}}
	alice     = digest("alice:secret")
	bob       = digest("bob:secret")
	somebody  = append(slices.Clip(nobody), alice)
	both      = append(slices.Clip(nobody), bob, alice)
	superuser = append(slices.Clip(nobody), zab.AuthID{Scheme: "super"})
	neighbour = []zab.AuthID{{Scheme: "ip", ID: "fe80::1"}, {Scheme: "host", ID: "www.example.org"}}
)

// digest is the identity that a password makes.
func digest(password string) zab.AuthID {
	user, _, _ := strings.Cut(password, ":")
	sum := sha1.Sum([]byte(password))
	return zab.AuthID{Scheme: "digest", ID: user + ":" + base64.StdEncoding.EncodeToString(sum[:])}
}

func entry(perms wire.Perm, scheme, id string) wire.ACL {
	return wire.ACL{Perms: perms, Scheme: scheme, ID: id}
}

// lists are what creates and setACLs carry: most of them good, all of them strict in another way.
var lists = [][]wire.ACL{
	nil,
	{},
	{entry(wire.PermRead, "world", "anyone")},
	{entry(wire.PermAll&^wire.PermCreate, "world", "anyone")},
	{entry(wire.PermAll&^wire.PermDelete, "world", "anyone")},
	{entry(wire.PermAll&^wire.PermRead, "world", "anyone")},
	{entry(wire.PermAll&^wire.PermWrite, "world", "anyone"), entry(wire.PermWrite, "digest", bob.ID)},
	{entry(wire.PermAdmin, "world", "anyone")},
	{entry(255, "world", "anyone"), entry(0, "world", "anyone")},
	{entry(wire.PermAll, "world", "nobody")},
	{entry(wire.PermAll, "auth", "")},
	{entry(wire.PermAll, "auth", "whoever"), entry(wire.PermAll, "auth", ""), entry(wire.PermRead, "world", "anyone")},
	{entry(wire.PermAll, "digest", alice.ID), entry(wire.PermAll, "auth", ""), entry(wire.PermAll, "digest", alice.ID)},
	{entry(wire.PermRead|wire.PermCreate, "world", "anyone"), entry(wire.PermAll, "digest", alice.ID)},
	{entry(wire.PermAll, "digest", "alice")},
	{entry(wire.PermAll, "digest", "alice:")},
	{entry(wire.PermAll, "digest", "alice:x:")},
	{entry(wire.PermAll, "digest", ":x")},
	{entry(wire.PermAll, "digest", "a:b:c")},
	{entry(wire.PermAll, "ip", "10.0.0.0/8")},
	{entry(wire.PermAll, "ip", "10.0.0.2"), entry(wire.PermRead, "ip", "10.0.0.1")},
	{entry(wire.PermAll, "ip", "fe80::/10")},
	{entry(wire.PermAll, "ip", "1.2.3.4/33")},
	{entry(wire.PermAll, "ip", "1.2.3.4/")},
	{entry(wire.PermAll, "ip", "1.2.3")},
	{entry(wire.PermAll, "host", "example.org")},
	{entry(wire.PermAll, "host", "example..org")},
	{entry(wire.PermAll, "host", "")},
	{entry(wire.PermAll, "super", "")},
	{entry(wire.PermAll, "sasl", "alice")},
	{entry(wire.PermAll, "", "")},
}

var badPaths = []string{
	"", "a", "a/b", "a/", "//", "//a", "/a//b", "/a/", "/.", "/..", "/a/.", "/a/../b", "/x/../y", "/\x00", "/a/\x01", "/a\x7f",
	"/\u0085", "/\ue000", "/\ufff0", "/\U0001F600", "/a/\xff", "/zookeeper/", "/\u2028", "/...",
}

// drawPath prefers what is there and what could be.
func drawPath(c chooser, t *model.Tree) string {
	switch c(8) {
	case 0:
		return pick(c, badPaths...)
	case 1:
		return pick(c, "/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota", "/zookeeper/x")
	case 2, 3, 4:
		var there []string
		t.Each(func(path string, _ []byte, _ wire.Stat, _ []wire.ACL, _ int64) { there = append(there, path) })
		return pick(c, there...)
	default:
		return pick(c, "/a", "/a", "/a", "/b", "/a/a", "/a/b", "/b/a", "/a/a/a", "/a/s-", "/é")
	}
}

func drawVersion(c chooser, now int32) int32 { return pick(c, -1, -1, now, now, now+1, 0, -2) }

// drawWrite draws a write, or with inMulti a part of a multi. t is what its path and version refer to.
func drawWrite(c chooser, t *model.Tree, inMulti bool) history.Op {
	o := history.Op{Path: drawPath(c, t), Data: pick(c, nil, []byte{}, []byte("x"), []byte("longer"))}
	n, _ := find(t, o.Path)
	switch kind := c(18); {
	case kind < 9:
		o.Kind = pick(c, wire.OpCreate, wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL)
		o.ACL = wire.OpenACL
		if c(3) == 0 {
			o.ACL = pick(c, lists...)
		}
		o.Mode = pick(c, wire.Persistent, wire.Persistent, wire.Ephemeral, wire.PersistentSequential, wire.EphemeralSequential, wire.Container)
		if o.Kind == wire.OpCreateTTL {
			o.Mode = pick(c, wire.PersistentTTL, wire.PersistentTTL, wire.PersistentSequentialTTL)
			o.TTLMs = pick[int64](c, 1, 5, 5, 20, 1<<40-1, 1<<40, 0, -1)
		}
		if c(20) == 0 {
			o.Mode = wire.CreateMode(c(10) - 1)
		}
	case kind < 12:
		o.Kind, o.Version = wire.OpDelete, drawVersion(c, n.Version)
	case kind < 15:
		o.Kind, o.Version = wire.OpSetData, drawVersion(c, n.Version)
	case kind == 15 && inMulti, c(30) == 0:
		o.Kind, o.Version = wire.OpCheck, drawVersion(c, n.Version)
	case !inMulti, c(20) == 0:
		o.Kind, o.Version, o.ACL = wire.OpSetACL, drawVersion(c, n.Aversion), pick(c, lists...)
		if c(2) == 0 {
			o.ACL = wire.OpenACL
		}
	default:
		o.Kind, o.Version = wire.OpCheck, -1
	}
	return o
}

// drawMulti draws ops that refer to what the earlier ones leave behind, as often as not.
func drawMulti(c chooser, t *model.Tree, session zab.SessionID) history.Op {
	o := history.Op{Kind: wire.OpMulti, Ops: []history.Op{}}
	t = t.Clone()
	for range c(5) {
		part := drawWrite(c, t, true)
		o.Ops = append(o.Ops, part)
		if part.Kind != wire.OpCheck {
			t.Apply(&history.Commit{Zxid: t.Applied() + 1, Session: session, Op: part})
		}
	}
	return o
}

// drawRead draws a read, or with inMulti a part of a multiRead.
func drawRead(c chooser, t *model.Tree, inMulti bool) history.Op {
	o := history.Op{Kind: pick(c, wire.OpGetData, wire.OpGetChildren), Path: drawPath(c, t)}
	if inMulti && c(20) != 0 {
		return o
	}
	o.Kind = pick(c, wire.OpExists, wire.OpGetData, wire.OpGetACL, wire.OpGetChildren, wire.OpGetChildren2, wire.OpGetEphemerals,
		wire.OpGetAllChildrenNumber, wire.OpSync, wire.OpMultiRead)
	switch o.Kind {
	case wire.OpGetEphemerals:
		o.Path = pick(c, "", "/", " / ", "/a", "/a/", "/b/a", " /a")
	case wire.OpMultiRead:
		o.Ops = []history.Op{}
		for range c(4) {
			if part := drawRead(c, t, true); part.Kind != wire.OpMultiRead {
				o.Ops = append(o.Ops, part)
			}
		}
	default:
	}
	return o
}

// find returns the stat of a znode of the model, past every list.
func find(t *model.Tree, path string) (wire.Stat, bool) {
	res := t.Read(0, superuser, &history.Op{Kind: wire.OpGetChildren2, Path: path})
	return res.Stat, res.Code == wire.OK
}

// everything is the state of a model, to compare.
func everything(t *model.Tree) (map[string]string, []zab.SessionID) {
	lines := map[string]string{}
	t.Each(func(path string, data []byte, stat wire.Stat, acl []wire.ACL, _ int64) {
		lines[path] = line(data, stat, acl)
	})
	return lines, t.Sessions()
}
