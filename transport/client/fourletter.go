package client

import (
	"context"
	"fmt"
	"io"
	"net"
)

// maxAnswer bounds the answer to a four-letter word, in bytes. The longest, of dump and cons, grow
// with the number of connections.
const maxAnswer = 64 << 20

// FourLetterWord asks a server one of ZooKeeper's four-letter words, such as srvr, and returns
// its answer. A server that does not know the word closes without one.
func FourLetterWord(ctx context.Context, addr, word string) (string, error) {
	var d net.Dialer
	return fourLetterWord(ctx, func(ctx context.Context, addr string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}, addr, word)
}

// FourLetterWord asks one of the client's servers through the client's own network.
func (o *Options) FourLetterWord(ctx context.Context, addr, word string) (string, error) {
	if o.Dial == nil {
		return FourLetterWord(ctx, addr, word)
	}
	return fourLetterWord(ctx, o.Dial, addr, word)
}

func fourLetterWord(ctx context.Context, dial DialFunc, addr, word string) (string, error) {
	if len(word) != 4 {
		return "", fmt.Errorf("client: %q is not a four-letter word", word)
	}
	conn, err := dial(ctx, addr)
	if err != nil {
		return "", fmt.Errorf("client: %s: connect to %s: %w", word, addr, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err = io.WriteString(conn, word); err != nil {
		return "", fmt.Errorf("client: %s to %s: %w", word, addr, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && len(answer) == 0 {
		return "", fmt.Errorf("client: %s to %s: %w", word, addr, err)
	}
	if len(answer) == 0 {
		return "", fmt.Errorf("client: %s to %s: closed without an answer; the server does not know the word", word, addr)
	}
	return string(answer), nil
}
