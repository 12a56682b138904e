package transport

import "quoll/zab"

// For tests that play a server by hand.

// Opening returns what a dialer of the peer port says first.
func Opening(id Identity, to zab.ServerID) []byte {
	return encodeHello(channelLink, id.hello(to))
}

// Frame returns the frame of a message.
func Frame(m *zab.Message) []byte { return encodeMessage(m) }

// SnapFrame returns the head of a snapshot stream.
func SnapFrame(z zab.Zxid, size int64) []byte {
	e := newEncoder()
	e.snap(z, size)
	return e.out.buf
}

// ChunkFrame returns a chunk of a snapshot stream.
func ChunkFrame(sum uint32, p []byte) []byte {
	e := newEncoder()
	e.chunk(sum, p)
	return e.out.buf
}

// EndFrame returns the end of a snapshot stream.
func EndFrame(size int64, sum uint32) []byte {
	e := newEncoder()
	e.endOfSnapshot(size, sum)
	return e.out.buf
}
