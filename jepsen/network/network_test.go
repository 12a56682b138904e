package network_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/network"
)

// echo answers what it hears; the address of server 0 is returned as clients reach it.
func echo(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

// says sends a byte and reports whether it comes back in time.
func says(t *testing.T, c net.Conn, within time.Duration) bool {
	t.Helper()
	_, err := c.Write([]byte{1})
	require.NoError(t, err)
	return hears(t, c, within)
}

func hears(t *testing.T, c net.Conn, within time.Duration) bool {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(within)))
	_, err := io.ReadFull(c, make([]byte, 1))
	if err != nil {
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	return err == nil
}

// Each way is cut for itself, silently; what was held back comes when it is healed.
func TestProxies(t *testing.T) {
	n := network.NewProxies(2)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	address, err := n.Via(network.Clients, 0, echo(t, n.Host(0)))
	require.NoError(t, err)
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	require.True(t, says(t, c, 5*time.Second))

	for _, way := range [][2]int{{network.Clients, 0}, {0, network.Clients}} {
		n.Cut(way[0], way[1])
		require.False(t, says(t, c, 50*time.Millisecond))
		n.Heal()
		require.True(t, hears(t, c, 5*time.Second))
	}
	n.Cut(1, 0)
	n.Cut(0, 1)
	require.True(t, says(t, c, 5*time.Second), "somebody else's way")

	n.Shape(network.Clients, 0, 60*time.Millisecond, 0, 0)
	begin := time.Now()
	require.True(t, says(t, c, 5*time.Second))
	require.GreaterOrEqual(t, time.Since(begin), 60*time.Millisecond)
}

// nc is a server in a namespace: a copy of this test that answers one connection.
func TestSwitch(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("namespaces need the command ip")
	}
	n, err := network.NewSwitch(2)
	if n != nil {
		t.Cleanup(func() { require.NoError(t, n.Close()) })
	}
	if err != nil {
		t.Skip("namespaces cannot be made here: ", err)
	}
	// The echo is in our own namespace; the other end sends from that of server 0.
	address := echo(t, n.Host(network.Clients))
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	// bash has sockets of its own, and is where ip is.
	command := n.Within(0, []string{
		"bash", "-c",
		`exec 3<>/dev/tcp/` + n.Host(network.Clients) + `/` + port + ` && while read -r x; do printf y >&3; head -c 1 <&3; done`,
	})
	cmd := exec.Command(command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = w
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	answers := func(within time.Duration) bool {
		require.NoError(t, r.SetReadDeadline(time.Now().Add(within)))
		_, err := r.Read(make([]byte, 1))
		return err == nil
	}
	ask := func() { _, err := in.Write([]byte("x\n")); require.NoError(t, err) }
	ask()
	require.True(t, answers(5*time.Second))
	for _, way := range [][2]int{{network.Clients, 0}, {0, network.Clients}} {
		n.Cut(way[0], way[1])
		ask()
		require.False(t, answers(100*time.Millisecond))
		n.Heal()
		require.True(t, answers(10*time.Second), "TCP sends it again")
	}
	n.Cut(0, 1)
	ask()
	require.True(t, answers(5*time.Second), "somebody else's way")
}
