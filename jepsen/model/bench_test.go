package model_test

import (
	"strconv"
	"testing"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
)

// full returns a model of n znodes, as a long run of the simulator leaves it.
func full(b *testing.B, n int) *model.Tree {
	m := model.New()
	m.Apply(&history.Commit{Zxid: 1, Session: 7, Op: history.Op{Kind: wire.OpCreateSession}})
	for i := range n {
		o := create("/n" + strconv.Itoa(i))
		if res, _ := m.Apply(&history.Commit{Zxid: m.Applied() + 1, Session: 7, Op: o}); res.Code != wire.OK {
			b.Fatal(res.Code)
		}
	}
	return m
}

func BenchmarkApply(b *testing.B) {
	m := full(b, 200)
	c := history.Commit{Session: 7, Op: set("/n7", "x")}
	b.ReportAllocs()
	for b.Loop() {
		c.Zxid = m.Applied() + 1
		m.Apply(&c)
	}
}

func BenchmarkMulti(b *testing.B) {
	m := full(b, 200)
	c := history.Commit{Session: 7, Op: multi(create("/x"), set("/n7", "x"), remove("/x"), remove("/none"))}
	b.ReportAllocs()
	for b.Loop() {
		c.Zxid = m.Applied() + 1
		m.Apply(&c)
	}
}

func BenchmarkRead(b *testing.B) {
	m := full(b, 200)
	for _, kind := range []wire.Op{wire.OpGetData, wire.OpGetChildren} {
		b.Run(kind.String(), func(b *testing.B) {
			o := history.Op{Kind: kind, Path: "/"}
			b.ReportAllocs()
			for b.Loop() {
				m.Read(7, nil, &o)
			}
		})
	}
}

func BenchmarkCloneAndHash(b *testing.B) {
	m := full(b, 10)
	b.ReportAllocs()
	for b.Loop() {
		m.Clone().Hash()
	}
}
