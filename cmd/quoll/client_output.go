package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"quoll/transport/wire"
)

// json prints a value as one indented document.
func (c *console) json(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// listing is the output of ls.
type listing struct {
	Path      string   `json:"path"`
	Recursive bool     `json:"recursive"`
	Names     []string `json:"names"`
}

// znode is a znode in machine-readable output. Zxids and session ids are hexadecimal strings:
// they are longer than what a JSON number keeps.
type znode struct {
	Path           string     `json:"path"`
	Data           *znodeData `json:"data,omitempty"`
	Czxid          string     `json:"czxid"`
	Mzxid          string     `json:"mzxid"`
	Pzxid          string     `json:"pzxid"`
	Ctime          time.Time  `json:"ctime"`
	Mtime          time.Time  `json:"mtime"`
	Version        int32      `json:"version"`
	Cversion       int32      `json:"cversion"`
	Aversion       int32      `json:"aversion"`
	EphemeralOwner string     `json:"ephemeralOwner"`
	DataLength     int32      `json:"dataLength"`
	NumChildren    int32      `json:"numChildren"`
}

// znodeData is data as a string when it is one, in base64 otherwise; both null for null.
type znodeData struct {
	Text   *string `json:"text"`
	Base64 []byte  `json:"base64,omitempty"`
}

func newZnode(path string, s wire.Stat) *znode {
	return &znode{
		Path: path, Czxid: s.Czxid.String(), Mzxid: s.Mzxid.String(), Pzxid: s.Pzxid.String(),
		Ctime: time.UnixMilli(s.Ctime).UTC(), Mtime: time.UnixMilli(s.Mtime).UTC(),
		Version: s.Version, Cversion: s.Cversion, Aversion: s.Aversion,
		EphemeralOwner: hex(uint64(s.EphemeralOwner)), DataLength: s.DataLength, NumChildren: s.NumChildren,
	}
}

func (z *znode) withData(data []byte) *znode {
	z.Data = &znodeData{}
	switch {
	case data == nil:
	case utf8.Valid(data):
		text := string(data)
		z.Data.Text = &text
	default:
		z.Data.Base64 = data
	}
	return z
}

func hex(n uint64) string { return fmt.Sprintf("%#x", n) }

// statText prints a Stat with the labels of ZooKeeper's own shell, which scripts look for.
func statText(s wire.Stat) string {
	var b strings.Builder
	when := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("Mon Jan 02 15:04:05 MST 2006") }
	fmt.Fprintf(&b, "cZxid = %v\n", s.Czxid)
	fmt.Fprintf(&b, "ctime = %s\n", when(s.Ctime))
	fmt.Fprintf(&b, "mZxid = %v\n", s.Mzxid)
	fmt.Fprintf(&b, "mtime = %s\n", when(s.Mtime))
	fmt.Fprintf(&b, "pZxid = %v\n", s.Pzxid)
	fmt.Fprintf(&b, "cversion = %d\n", s.Cversion)
	fmt.Fprintf(&b, "dataVersion = %d\n", s.Version)
	fmt.Fprintf(&b, "aclVersion = %d\n", s.Aversion)
	fmt.Fprintf(&b, "ephemeralOwner = %#x\n", uint64(s.EphemeralOwner))
	fmt.Fprintf(&b, "dataLength = %d\n", s.DataLength)
	fmt.Fprintf(&b, "numChildren = %d\n", s.NumChildren)
	return b.String()
}
