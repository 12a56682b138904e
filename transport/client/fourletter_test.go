package client_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport/client"
)

func TestFourLetterWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := client.Options{Dial: func(_ context.Context, addr string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				word := make([]byte, 4)
				if _, err := io.ReadFull(theirs, word); err != nil {
					return
				}
				switch string(word) {
				case "ruok":
					io.WriteString(theirs, "im")
					io.WriteString(theirs, "ok")
				case "slow":
					io.ReadAll(theirs) // until the client has enough of it
				}
			}()
			return ours, nil
		}}
		answer, err := o.FourLetterWord(t.Context(), "a", "ruok")
		require.NoError(t, err)
		require.Equal(t, "imok", answer)
		_, err = o.FourLetterWord(t.Context(), "a", "what")
		require.ErrorContains(t, err, "does not know the word")
		_, err = o.FourLetterWord(t.Context(), "a", "toolong")
		require.ErrorContains(t, err, "not a four-letter word")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = o.FourLetterWord(ctx, "a", "slow")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	_, err := client.FourLetterWord(t.Context(), "127.0.0.1:0", "ruok")
	require.ErrorContains(t, err, "connect to 127.0.0.1:0")
}
