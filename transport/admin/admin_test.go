package admin_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport/admin"
)

// server is a Source that says what the test tells it to.
type server struct {
	status      admin.Status
	connections []admin.Connection
	watches     []admin.Watch
	sessions    []admin.Session
	resets      []admin.ResetScope
}

func (s *server) Status() admin.Status            { return s.status }
func (s *server) Connections() []admin.Connection { return s.connections }
func (s *server) Watches() []admin.Watch          { return s.watches }
func (s *server) Sessions() []admin.Session       { return s.sessions }
func (s *server) Reset(what admin.ResetScope)     { s.resets = append(s.resets, what) }

var built = admin.Version{
	Number: "3.9.5", Commit: "quoll-0a1b2c", Built: time.Date(2026, 7, 17, 19, 0, 30, 0, time.UTC),
}

const versionText = "3.9.5-quoll-0a1b2c, built on 07/17/2026 19:00 UTC"

// leader is a server with something in every field that an answer prints.
func leader() *server {
	s := &server{status: admin.Status{
		Serving: true, Mode: admin.ModeLeader,
		Latency:  admin.Latency{Min: 0, Avg: 0.97643, Max: 12},
		Received: 371, Sent: 411, Outstanding: 2, Connections: 1, Zxid: 0x100000001d, NodeCount: 46,
		WatchCount: 3, Ephemerals: 2, DataSize: 1234, Sessions: 2, Uptime: 90 * time.Second,
		OpenFiles: 21, MaxFiles: 1024, Responses: admin.Sizes{Last: 16, Min: 16, Max: 93},
		AuthFailed: 1, Dropped: 4,
		Quorum: &admin.Quorum{Peer: "leading - broadcast", Size: 3},
		Leader: &admin.LeaderStatus{
			Learners: 2, SyncedFollowers: 1, SyncedNonVotingFollowers: 0, SyncedObservers: 1,
			Uptime: time.Minute, Proposals: admin.Sizes{Last: 48, Min: 32, Max: 48},
		},
		DataDirSize: 88, LogDirSize: 67108864,
		Config: admin.ConfigStatus{
			ClientPort: 2181, DataDir: "/data/version-2", DataLogDir: "/log/version-2", TickTime: 2 * time.Second,
			MaxClientCnxns: 60, MinSessionTimeout: 4 * time.Second, MaxSessionTimeout: 40 * time.Second,
			ServerID: 1, InitLimit: 10, SyncLimit: 5, ElectionPort: 3888, QuorumPort: 2888,
			Membership: "server.1=127.0.0.1:2888:3888:participant\nversion=0",
		},
		Digests:   []admin.Digest{{Zxid: 0x1c, Digest: 7}, {Zxid: 0x1d, Digest: 1371985504}},
		Counters:  []admin.Counter{{Name: "snap_count", Value: 3}},
		Summaries: []admin.Summary{{Name: "fsynctime", Min: 1, Max: 9, Count: 3, Sum: 12}},
	}}
	s.connections = []admin.Connection{
		{
			Remote: netip.MustParseAddrPort("127.0.0.1:50000"), Reading: true, Outstanding: 1, Received: 5, Sent: 6,
			Session: 0x100001234567, LastOperation: "PING", Established: time.UnixMilli(1700000000123),
			Timeout: 10 * time.Second, LastCxid: 0x1f, LastZxid: 0x1d, LastResponse: time.UnixMilli(1700000001123),
			LastLatency: 1, Latency: admin.Latency{Min: 0, Avg: 1.9, Max: 12},
		},
		{Remote: netip.MustParseAddrPort("[::1]:50001"), Received: 1, Established: time.Unix(1700000000, 0)},
	}
	s.watches = []admin.Watch{{"/a", 0x2}, {"/a", 0x3}, {"/b", 0x2}}
	s.sessions = []admin.Session{
		{ID: 0x2, Timeout: 4 * time.Second, Expires: time.Unix(1700000004, 5e8), Ephemerals: []string{"/a/e1", "/a/e2"}},
		{ID: 0x3, Timeout: 4 * time.Second, Expires: time.Unix(1700000004, 1e8)},
		{ID: 0x4, Timeout: 9 * time.Second, Expires: time.Unix(1700000009, 0)},
	}
	return s
}

func ask(s *server, word admin.Word) string {
	return string(admin.NewWords(s, built, []string{"*"}).Answer(word, nil))
}

func TestAnswers(t *testing.T) {
	numbers := "Latency min/avg/max: 0/0.9764/12\nReceived: 371\nSent: 411\nConnections: 1\nOutstanding: 2\n" +
		"Zxid: 0x100000001d\nMode: leader\nNode count: 46\nProposal sizes last/min/max: 48/32/48\n"
	for word, want := range map[admin.Word]string{
		admin.Ruok: "imok",
		admin.Isro: "rw",
		admin.Gtmk: "306",
		admin.Crst: "Connection stats reset.\n",
		admin.Srst: "Server stats reset.\n",
		admin.Dirs: "datadir_size: 88\nlogdir_size: 67108864\n",
		admin.Hash: "1c: 7\n1d: 1371985504\n",
		admin.Srvr: "Zookeeper version: " + versionText + "\n" + numbers,
		admin.Stat: "Zookeeper version: " + versionText + "\nClients:\n" +
			" /127.0.0.1:50000[1](queued=1,recved=5,sent=6)\n /[::1]:50001[0](queued=0,recved=1,sent=0)\n\n" + numbers,
		admin.Cons: " /127.0.0.1:50000[1](queued=1,recved=5,sent=6,sid=0x100001234567,lop=PING,est=1700000000123," +
			"to=10000,lcxid=0x1f,lzxid=0x1d,lresp=1700000001123,llat=1,minlat=0,avglat=1,maxlat=12)\n" +
			" /[::1]:50001[0](queued=0,recved=1,sent=0)\n\n",
		admin.Wchs: "2 connections watching 2 paths\nTotal watches:3\n",
		admin.Wchp: "/a\n\t0x2\n\t0x3\n/b\n\t0x2\n\n",
		admin.Wchc: "0x2\n\t/a\n\t/b\n0x3\n\t/a\n\n",
		admin.Conf: "clientPort=2181\nsecureClientPort=-1\ndataDir=/data/version-2\ndataDirSize=88\n" +
			"dataLogDir=/log/version-2\ndataLogSize=67108864\ntickTime=2000\nmaxClientCnxns=60\n" +
			"minSessionTimeout=4000\nmaxSessionTimeout=40000\nclientPortListenBacklog=-1\nserverId=1\n" +
			"initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888\npeerType=0\n" +
			"membership: \nserver.1=127.0.0.1:2888:3888:participant\nversion=0",
		admin.Dump: "SessionTracker dump:\nSession Sets (2)/(3):\n" +
			"2 expire at Tue Nov 14 22:13:24 UTC 2023:\n\t0x2\n\t0x3\n" +
			"1 expire at Tue Nov 14 22:13:29 UTC 2023:\n\t0x4\n" +
			"ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x2:\n\t/a/e1\n\t/a/e2\n" +
			"Connections dump:\nConnections Sets (2)/(2):\n" +
			"1 expire at Tue Nov 14 22:13:20 UTC 2023:\n\tip: /[::1]:50001 sessionId: 0x0\n" +
			"1 expire at Tue Nov 14 22:13:31 UTC 2023:\n\tip: /127.0.0.1:50000 sessionId: 0x100001234567\n",
		admin.TelnetClose: "",
	} {
		require.Equal(t, want, ask(leader(), word), "%q", word)
	}
}

func TestMntr(t *testing.T) {
	require.Equal(t, "zk_version\t"+versionText+`
zk_server_state	leader
zk_peer_state	leading - broadcast
zk_avg_latency	0.9764
zk_max_latency	12
zk_min_latency	0
zk_packets_received	371
zk_packets_sent	411
zk_num_alive_connections	1
zk_outstanding_requests	2
zk_uptime	90000
zk_znode_count	46
zk_watch_count	3
zk_ephemerals_count	2
zk_approximate_data_size	1234
zk_global_sessions	2
zk_local_sessions	0
zk_open_file_descriptor_count	21
zk_max_file_descriptor_count	1024
zk_connection_drop_probability	0.0
zk_last_client_response_size	16
zk_max_client_response_size	93
zk_min_client_response_size	16
zk_outstanding_tls_handshake	0
zk_auth_failed_count	1
zk_non_mtls_remote_conn_count	0
zk_non_mtls_local_conn_count	0
zk_connection_rejected	4
zk_quorum_size	3
zk_learners	2
zk_synced_followers	1
zk_synced_non_voting_followers	0
zk_synced_observers	1
zk_pending_syncs	0
zk_leader_uptime	60000
zk_last_proposal_size	48
zk_max_proposal_size	48
zk_min_proposal_size	32
zk_snap_count	3
zk_avg_fsynctime	4.0
zk_min_fsynctime	1
zk_max_fsynctime	9
zk_cnt_fsynctime	3
zk_sum_fsynctime	12
`, ask(leader(), admin.Mntr))
}

// A follower does not expire sessions, knows no proposals, and tells which observers it feeds.
func TestFollower(t *testing.T) {
	s := leader()
	s.status.Mode, s.status.Leader = admin.ModeFollower, nil
	s.status.Quorum = &admin.Quorum{Peer: "following - broadcast", Size: 3, SyncedObservers: 1}
	s.status.Summaries = []admin.Summary{{Name: "t", Quantiles: true, P50: 1, P95: 2, P99: 3, P999: 4}}
	for i := range s.sessions {
		s.sessions[i].Expires = time.Time{}
	}
	require.Contains(t, ask(s, admin.Dump),
		"SessionTracker dump:\nGlobal Sessions(3):\n0x2\t4000ms\n0x3\t4000ms\n0x4\t9000ms\nephemeral nodes dump:\n")
	require.NotContains(t, ask(s, admin.Srvr), "Proposal")
	mntr := ask(s, admin.Mntr)
	require.Contains(t, mntr, "zk_quorum_size\t3\nzk_synced_observers\t1\nzk_snap_count\t3\n")
	require.Contains(t, mntr, "zk_avg_t\t0.0\nzk_min_t\t0\nzk_max_t\t0\nzk_cnt_t\t0\nzk_sum_t\t0\n"+
		"zk_p50_t\t1\nzk_p95_t\t2\nzk_p99_t\t3\nzk_p999_t\t4\n")
	require.NotContains(t, mntr, "leader")
}

// A server that stands alone says nothing of an ensemble.
func TestStandalone(t *testing.T) {
	s := leader()
	s.status.Mode, s.status.Leader, s.status.Quorum = admin.ModeStandalone, nil, nil
	require.Contains(t, ask(s, admin.Srvr), "\nMode: standalone\n")
	require.NotContains(t, ask(s, admin.Mntr), "peer_state")
	require.NotContains(t, ask(s, admin.Mntr), "quorum")
	require.True(t, strings.HasSuffix(ask(s, admin.Conf), "\nserverId=1\n"))
	s.sessions = nil
	require.Contains(t, ask(s, admin.Dump), "SessionTracker dump:\nSession Sets (0)/(0):\nephemeral")
}

func TestObserver(t *testing.T) {
	s := leader()
	s.status.Mode, s.status.Leader = admin.ModeObserver, nil
	s.status.Config.Observer = true
	require.Contains(t, ask(s, admin.Conf), "\npeerType=1\n")
	require.NotContains(t, ask(s, admin.Mntr), "synced_observers")
}

func TestReadOnly(t *testing.T) {
	s := leader()
	s.status.Mode, s.status.Leader = admin.ModeReadOnly, nil
	require.Equal(t, "ro", ask(s, admin.Isro))
	require.Contains(t, ask(s, admin.Srvr), "UTC\nREAD-ONLY mode; serving only read-only clients\nLatency")
}

func TestNotServing(t *testing.T) {
	s := leader()
	s.status = admin.Status{}
	for _, word := range []admin.Word{
		admin.Conf, admin.Cons, admin.Crst, admin.Dirs, admin.Dump, admin.Hash, admin.Mntr, admin.Srst, admin.Srvr,
		admin.Stat, admin.Wchc, admin.Wchp, admin.Wchs,
	} {
		require.Equal(t, "This ZooKeeper instance is not currently serving requests\n", ask(s, word), "%q", word)
	}
	require.Equal(t, "imok", ask(s, admin.Ruok))
	require.Equal(t, "null", ask(s, admin.Isro))
	require.Equal(t, "306", ask(s, admin.Gtmk))
	require.Contains(t, ask(s, admin.Envi), "zookeeper.version=")
	require.Empty(t, s.resets, "nothing is reset while nothing is served")
}

func TestWhitelist(t *testing.T) {
	s := leader()
	words := admin.NewWords(s, built, []string{"srvr", "ruok"})
	require.Contains(t, string(words.Answer(admin.Srvr, nil)), "Mode: leader")
	require.Equal(t, "srst is not executed because it is not in the whitelist.\n", string(words.Answer(admin.Srst, nil)))
	require.Empty(t, words.Answer(admin.TelnetClose, nil))
	require.Empty(t, s.resets)

	none := admin.NewWords(s, built, nil)
	s.status.Serving = false
	require.Equal(t, "ruok is not executed because it is not in the whitelist.\n", string(none.Answer(admin.Ruok, nil)))
}

func TestReset(t *testing.T) {
	s := leader()
	ask(s, admin.Crst)
	ask(s, admin.Srst)
	require.Equal(t, []admin.ResetScope{admin.ResetConnections, admin.ResetServer}, s.resets)
}

func TestTraceMask(t *testing.T) {
	words := admin.NewWords(leader(), built, []string{"*"})
	require.Equal(t, 8, admin.Stmk.ArgumentBytes())
	require.Zero(t, admin.Gtmk.ArgumentBytes())
	require.Equal(t, "258", string(words.Answer(admin.Stmk, []byte{0, 0, 0, 0, 0, 0, 1, 2, 99})))
	require.Equal(t, "258", string(words.Answer(admin.Gtmk, nil)))
	require.Equal(t, "0", string(words.Answer(admin.Stmk, nil)), "missing bytes are zero")
	require.Equal(t, "-1", string(words.Answer(admin.Stmk, []byte("\xff\xff\xff\xff\xff\xff\xff\xff"))), "a Java long")
}

func TestKnown(t *testing.T) {
	words := strings.Fields("conf cons crst dirs dump envi gtmk hash isro mntr ruok srst srvr stat stmk wchc wchp wchs")
	for _, name := range append(words, "\xff\xf4\xff\xfd") {
		word, ok := admin.Known([4]byte([]byte(name)))
		require.True(t, ok, "%q", name)
		require.Equal(t, admin.Word(name), word)
	}
	for _, name := range []string{"abcd", "RUOK", "\x00\x00\x00\x2d", "ruo\n"} {
		_, ok := admin.Known([4]byte([]byte(name)))
		require.False(t, ok, "%q", name)
	}
	require.Nil(t, admin.NewWords(leader(), built, []string{"*"}).Answer("abcd", nil))
}

// What clients cut out of answers: go-zookeeper the whole of srvr and the lines of cons, kazoo the
// version in envi, which it reads with one recv of 8 KiB.
func TestParsers(t *testing.T) {
	srvr := regexp.MustCompile(`(?m)\AZookeeper version: [A-Za-z0-9.-]+, built on (\d\d/\d\d/\d{4} \d\d:\d\d [A-Z]+)$\n` +
		`^Latency min/avg/max: \d+/[0-9.]+/\d+$\n^Received: \d+$\n^Sent: \d+$\n^Connections: \d+$\n^Outstanding: \d+$\n` +
		`^Zxid: 0x[0-9a-f]+$\n^Mode: \w+$\n^Node count: \d+$`)
	match := srvr.FindStringSubmatch(ask(leader(), admin.Srvr))
	require.NotNil(t, match)
	when, err := time.Parse("01/02/2006 15:04 MST", match[1])
	require.NoError(t, err)
	require.Equal(t, "2026-07-17 19:00", when.UTC().Format("2006-01-02 15:04"))

	cons := regexp.MustCompile(`^ /[0-9.]+:\d+\[\d+\]\(queued=\d+,recved=\d+,sent=\d+,sid=0x[0-9a-f]+,lop=\w+,est=\d+,to=\d+,` +
		`lcxid=0x[0-9a-f]+,lzxid=0x[0-9a-f]+,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)\n`)
	require.Regexp(t, cons, ask(leader(), admin.Cons))

	envi := ask(leader(), admin.Envi)
	require.Regexp(t, `(?m)\AEnvironment:\nzookeeper\.version=3\.9\.5-[^ ]+, built on .*$\n^host\.name=`, envi)
	require.Less(t, len(envi), 8192)
}

// A ping has a negative xid, which cons does not print.
func TestNegativeCxid(t *testing.T) {
	s := leader()
	s.connections[0].LastCxid = -2
	s.connections[0].LastResponse = time.Time{}
	require.Contains(t, ask(s, admin.Cons), ",to=10000,lzxid=0x1d,lresp=0,llat=1,")
}

func TestVersionForm(t *testing.T) {
	v := admin.Version{Number: "3.9.5", Commit: "ab c_d/+é!", Built: time.Date(2026, 1, 2, 1, 4, 0, 0, time.FixedZone("", 3600))}
	require.Equal(t, "3.9.5-abcd, built on 01/02/2026 00:04 UTC", v.String())
	v.Commit = "é"
	require.Equal(t, "3.9.5-unknown, built on 01/02/2026 00:04 UTC", v.String())
	require.Regexp(t, `^3\.9\.5-quoll[A-Za-z0-9.-]*, built on \d\d/\d\d/\d{4} \d\d:\d\d UTC$`, admin.CurrentVersion().String())
}
