package quoll_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/zab"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zoo.cfg")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// A data directory is all that a server must be told.
func TestZeroConfig(t *testing.T) {
	cfg := quoll.Config{DataDir: "/data"}
	require.NoError(t, cfg.Validate())
	require.True(t, cfg.Standalone())
	require.Empty(t, cfg.ConfigText())
	ensemble, err := cfg.Ensemble()
	require.NoError(t, err)
	require.Equal(t, []zab.ServerID{1}, ensemble.Voters())
	_, member := cfg.Self()
	require.False(t, member)
	link, election := cfg.ListenAddresses()
	require.Empty(t, link+election)
	require.Equal(t, quoll.Config{DataDir: "/data"}, cfg, "Validate changes nothing")
}

func TestValidateReportsAllFaults(t *testing.T) {
	cfg := quoll.Config{
		ClientAddress: "localhost", TickTime: time.Millisecond, MinSessionTimeout: -1, MaxSessionTimeout: 1000 * time.Hour,
		MaxCnxns: -1, MaxBuffer: -1, SnapCount: 1, PreAllocSize: -1, SnapRetainCount: 2,
		FsyncWarning: time.Microsecond, InitLimit: -1, SyncLimit: -1, ContainerMaxPerMinute: -1,
		ContainerMaxNeverUsed: -time.Second, ClusterName: "a\nb", DigestAlg: "SHA256", SuperDigest: "x",
		MyID: 9, Servers: []quoll.ServerSpec{
			{ID: 0, Host: "a", LinkPort: 1, ElectionPort: 2},
			{ID: 1, LinkPort: -1, ElectionPort: 65536, ClientAddress: "b:x"},
			{ID: 1, Host: "c", LinkPort: 3, ElectionPort: 4},
		},
	}
	require.EqualError(t, cfg.Validate(), `dataDir: is not set: name the directory for snapshots and logs
snapCount: 1 is too small: at least 2
preAllocSize: -1 is too small: at least 1
autopurge.snapRetainCount: 2 is too small: at least 3
fsync.warningthresholdms: 0 is too small: at least 1
clientPort: client address "localhost" is not host:port
tickTime: 1ms is too short: at least 10ms
minSessionTimeout: -1ns is negative
maxSessionTimeout: 1000h0m0s is too long: clients count it in 31 bits of milliseconds
maxCnxns: -1 is too small: at least 0
jute.maxbuffer: -1 is too small: at least 1
znode.container.maxPerMinute: -1 is too small: at least 1
znode.container.maxNeverUsedIntervalMs: -1000 is too small: at least 0
initLimit: -1 is too small: at least 1
syncLimit: -1 is too small: at least 1
quoll.clusterName: must have at most 255 bytes and no control characters
server.0: servers are numbered from 1
server.1: names no host
server.1: quorum port -1 is out of range: 1..65535
server.1: election port 65536 is out of range: 1..65535
server.1: client address "b:x": the port is not a number in 0..65535
server.1: is given twice
myid: 9 is the number of this server, but there is no server.9 line
DigestAuthenticationProvider.digestAlg: "SHA256" is not known: write one of SHA1, SHA-256, SHA-512
DigestAuthenticationProvider.superDigest: must read user:base64(digest of user:password)`)

	cfg = quoll.Config{DataDir: "/data", Weights: map[zab.ServerID]int{1: 1}}
	require.EqualError(t, cfg.Validate(), "groups and weights need servers: add the server.N lines of the ensemble")
}

// The text that clients parse in /zookeeper/config.
func TestConfigText(t *testing.T) {
	cfg := quoll.Config{DataDir: "/data", MyID: 2, Servers: []quoll.ServerSpec{
		{ID: 3, Host: "::1", LinkPort: 2890, ElectionPort: 3890, Observer: true, ClientAddress: "[::]:2183"},
		{ID: 10, Host: "zoo10", LinkPort: 2888, ElectionPort: 3888},
		{ID: 2, Host: "127.0.0.1", LinkPort: 2889, ElectionPort: 3889, ClientAddress: "0.0.0.0:2182"},
	}}
	require.NoError(t, cfg.Validate())
	servers := `server.2=127.0.0.1:2889:3889:participant;0.0.0.0:2182
server.3=[::1]:2890:3890:observer;[::]:2183
server.10=zoo10:2888:3888:participant
`
	require.Equal(t, servers+"version=0", cfg.ConfigText())

	cfg.Groups = map[int][]zab.ServerID{2: {10}, 1: {2}}
	cfg.Weights = map[zab.ServerID]int{10: 0}
	require.NoError(t, cfg.Validate())
	require.Equal(t, servers+"group.1=2\ngroup.2=10\nweight.2=1\nweight.10=0\nversion=0", cfg.ConfigText())
}

func TestAddresses(t *testing.T) {
	cfg := quoll.Config{DataDir: "/data", MyID: 1, Servers: []quoll.ServerSpec{
		{ID: 1, Host: "::1", LinkPort: 2888, ElectionPort: 3888}, {ID: 2, Host: "b", LinkPort: 2888, ElectionPort: 3888},
	}}
	self, member := cfg.Self()
	require.True(t, member)
	require.Equal(t, "[::1]:2888", self.LinkAddress())
	require.Equal(t, "[::1]:3888", self.ElectionAddress())
	link, election := cfg.ListenAddresses()
	require.Equal(t, []string{"[::1]:2888", "[::1]:3888"}, []string{link, election})
	cfg.ListenOnAllIPs = true
	link, election = cfg.ListenAddresses()
	require.Equal(t, []string{":2888", ":3888"}, []string{link, election})
	ensemble, err := cfg.Ensemble()
	require.NoError(t, err)
	require.Equal(t, []zab.ServerID{1, 2}, ensemble.Voters())
}
