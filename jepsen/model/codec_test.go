package model_test

import (
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// decodeResult reads the body of a reply without a code. Lists of children come out sorted, and of a
// multi there is a list of results although it is empty.
func decodeResult(d *jute.Decoder, kind wire.Op) history.Result {
	res := history.DecodeResult(d, &history.Op{Kind: kind})
	slices.Sort(res.Children)
	for i := range res.Results {
		slices.Sort(res.Results[i].Children)
	}
	if res.Results == nil && (kind == wire.OpMulti || kind == wire.OpMultiRead) {
		res.Results = []history.Result{}
	}
	return res
}

// maskTimes takes the times out of a result, where nobody knows the leader's clock.
func maskTimes(res history.Result) history.Result {
	res.Stat.Ctime, res.Stat.Mtime = 0, 0
	for i := range res.Results {
		res.Results[i] = maskTimes(res.Results[i])
	}
	return res
}
