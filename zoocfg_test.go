package quoll_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/zab"
)

// files are the files of one server below a directory: zoo.cfg, data/myid and whatever else.
// {dir} in them is that directory.
type files map[string]string

// read writes the files, reads zoo.cfg, and takes the directory out of everything that comes back.
func read(t *testing.T, f files, defines ...string) (cfg quoll.Config, warnings []string, err error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range f {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "{dir}", dir)), 0o644))
	}
	cfg, notes, err := quoll.ReadConfig(filepath.Join(dir, "zoo.cfg"), defines)
	short := func(s string) string { return strings.ReplaceAll(s, dir+"/", "") }
	for _, w := range notes {
		warnings = append(warnings, short(w.String()))
	}
	if err != nil {
		require.Equal(t, quoll.Config{}, cfg, "no Config beside an error")
		return cfg, warnings, shortError(short(err.Error()))
	}
	cfg.DataDir, cfg.DataLogDir = short(cfg.DataDir), short(cfg.DataLogDir)
	return cfg, warnings, nil
}

type shortError string

func (e shortError) Error() string { return string(e) }

// ensembleSh is what the suites write for a server of three.
const ensembleSh = `tickTime=2000
initLimit=10
syncLimit=5
dataDir={dir}/data
clientPort=21811
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
reconfigEnabled=true

server.1=127.0.0.1:21911:22011
server.2=127.0.0.1:21912:22012
server.3=127.0.0.1:21913:22013
`

func three(observers ...zab.ServerID) []quoll.ServerSpec {
	specs := []quoll.ServerSpec{
		{ID: 1, Host: "127.0.0.1", LinkPort: 21911, ElectionPort: 22011},
		{ID: 2, Host: "127.0.0.1", LinkPort: 21912, ElectionPort: 22012},
		{ID: 3, Host: "127.0.0.1", LinkPort: 21913, ElectionPort: 22013},
	}
	for _, id := range observers {
		specs[id-1].Observer = true
	}
	return specs
}

// Files as they are found in the wild: what the suites write, the sample of every ZooKeeper
// release, container images, Kafka, HBase, Kubernetes.
func TestRealConfigs(t *testing.T) {
	for name, c := range map[string]struct {
		files    files
		defines  []string
		want     quoll.Config
		warnings []string
	}{
		"suite ensemble": {
			files: files{"zoo.cfg": ensembleSh, "data/myid": "2\n"},
			defines: []string{
				"zookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
				"zookeeper.extendedTypesEnabled=true", "readonlymode.enabled=true",
			},
			want: quoll.Config{
				DataDir: "data", ClientAddress: "127.0.0.1:21811", TickTime: 2 * time.Second, InitLimit: 10, SyncLimit: 5,
				MaxClientCnxns: -1, FourLetterWords: []string{"*"}, MyID: 2, Servers: three(), ExtendedTypes: true,
				ReadOnlyMode: true, SuperDigest: "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
			},
			warnings: []string{
				"-Dreadonlymode.enabled: read-only mode is not built: without a quorum nobody is served",
				"zoo.cfg:10: reconfigEnabled: changes of the membership at run time are not built: it stays as the server lines say",
			},
		},
		"suite standalone": {
			files: files{"zoo.cfg": strings.Split(ensembleSh, "reconfigEnabled")[0], "data/myid": "1\n"},
			want: quoll.Config{
				DataDir: "data", ClientAddress: "127.0.0.1:21811", TickTime: 2 * time.Second, InitLimit: 10, SyncLimit: 5,
				MaxClientCnxns: -1, FourLetterWords: []string{"*"}, MyID: 1,
			},
		},
		"go-zookeeper": {
			files: files{
				"zoo.cfg": "admin.enableServer=false\ndataDir={dir}\ntickTime=500\ninitLimit=10\nsyncLimit=5\n" +
					"clientPort=12000\n4lw.commands.whitelist=*\nstandaloneEnabled=false\n" +
					"server.1=127.0.0.1:12001:12002\nserver.2=127.0.0.1:12004:12005\nserver.3=127.0.0.1:12007:12008\n",
				"myid": "3\n",
			},
			defines: []string{"zookeeper.extendedTypesEnabled=true", "zookeeper.emulate353TTLNodes=true"},
			want: quoll.Config{
				ClientAddress: ":12000", TickTime: 500 * time.Millisecond, InitLimit: 10, SyncLimit: 5,
				FourLetterWords: []string{"*"}, MyID: 3, ExtendedTypes: true,
				Servers: []quoll.ServerSpec{
					{ID: 1, Host: "127.0.0.1", LinkPort: 12001, ElectionPort: 12002},
					{ID: 2, Host: "127.0.0.1", LinkPort: 12004, ElectionPort: 12005},
					{ID: 3, Host: "127.0.0.1", LinkPort: 12007, ElectionPort: 12008},
				},
			},
			warnings: []string{
				"-Dzookeeper.emulate353TTLNodes: the TTL encoding of 3.5.3 is not supported: ignored",
			},
		},
		"kazoo": {
			files: files{
				"zoo.cfg": "\ntickTime=2000\ndataDir={dir}/data\nclientPort=20000\nsecureClientPort=20004\nmaxClientCnxns=0\n" +
					"admin.serverPort=20003\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n" +
					"authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n" +
					"ssl.keyStore.location={dir}/keystore.jks\nssl.keyStore.password=apassword\n\n\ninitLimit=4\nsyncLimit=2\n" +
					"server.1=localhost:20002:20001:participant\nserver.2=localhost:20012:20011:participant\n" +
					"server.3=localhost:20022:20021:observer\n\npeerType=observer\n",
				"data/myid": "3",
			},
			defines: []string{
				"file.encoding=UTF-8", "readonlymode.enabled=true", "zookeeper.log.dir=/tmp", "zookeeper.root.logger=INFO,CONSOLE",
				"log4j.configuration=file:/tmp/log4j.properties", "java.awt.headless=true",
				"java.security.auth.login.config=/tmp/jaas.conf",
			},
			want: quoll.Config{
				DataDir: "data", ClientAddress: ":20000", TickTime: 2 * time.Second, InitLimit: 4, SyncLimit: 2,
				MaxClientCnxns: -1, MyID: 3, ReadOnlyMode: true,
				Servers: []quoll.ServerSpec{
					{ID: 1, Host: "localhost", LinkPort: 20002, ElectionPort: 20001},
					{ID: 2, Host: "localhost", LinkPort: 20012, ElectionPort: 20011},
					{ID: 3, Host: "localhost", LinkPort: 20022, ElectionPort: 20021, Observer: true},
				},
			},
			warnings: []string{
				"-Djava.security.auth.login.config: SASL is not built: ignored, clients cannot authenticate with it",
				"-Dreadonlymode.enabled: read-only mode is not built: without a quorum nobody is served",
				"zoo.cfg: no failure of a server is survived: that takes three participants",
				"zoo.cfg:5: secureClientPort: TLS is not built: this port stays closed",
				"zoo.cfg:7: admin.serverPort: the HTTP admin server is not built: ignored, use four-letter words",
				"zoo.cfg:8: serverCnxnFactory: tunes a part of ZooKeeper that has no counterpart here: ignored",
				"zoo.cfg:9: authProvider.1: other authentication providers than digest and ip are not built: ignored",
				"zoo.cfg:10: ssl.keyStore.location: TLS is not built: ignored",
				"zoo.cfg:11: ssl.keyStore.password: TLS is not built: ignored",
			},
		},
		"sample": {
			files: files{"zoo.cfg": "# The number of milliseconds of each tick\ntickTime=2000\n# The number of ticks\ninitLimit=10\n" +
				"syncLimit=5\ndataDir={dir}/data\n# the port at which the clients will connect\nclientPort=2181\n" +
				"#maxClientCnxns=60\n#autopurge.snapRetainCount=3\n#autopurge.purgeInterval=1\n"},
			want: quoll.Config{DataDir: "data", ClientAddress: ":2181", TickTime: 2 * time.Second, InitLimit: 10, SyncLimit: 5},
		},
		"container image": {
			files: files{
				"zoo.cfg": "dataDir={dir}/data\ndataLogDir={dir}/datalog\ntickTime=2000\ninitLimit=5\nsyncLimit=2\n" +
					"autopurge.snapRetainCount=3\nautopurge.purgeInterval=0\nmaxClientCnxns=60\nstandaloneEnabled=true\n" +
					"admin.enableServer=true\n4lw.commands.whitelist=srvr, mntr, ruok\n" +
					"server.1=zoo1:2888:3888;2181\nserver.2=zoo2:2888:3888;2181\nserver.3=zoo3:2888:3888;2181\n",
				"data/myid": "1\n",
			},
			want: quoll.Config{
				DataDir: "data", DataLogDir: "datalog", ClientAddress: "0.0.0.0:2181", TickTime: 2 * time.Second,
				InitLimit: 5, SyncLimit: 2, PurgeInterval: -time.Hour, SnapRetainCount: 3, MaxClientCnxns: 60, MyID: 1,
				FourLetterWords: []string{"srvr", "mntr", "ruok"},
				Servers: []quoll.ServerSpec{
					{ID: 1, Host: "zoo1", LinkPort: 2888, ElectionPort: 3888, ClientAddress: "0.0.0.0:2181"},
					{ID: 2, Host: "zoo2", LinkPort: 2888, ElectionPort: 3888, ClientAddress: "0.0.0.0:2181"},
					{ID: 3, Host: "zoo3", LinkPort: 2888, ElectionPort: 3888, ClientAddress: "0.0.0.0:2181"},
				},
			},
			warnings: []string{
				"zoo.cfg:10: admin.enableServer: the HTTP admin server is not built: ignored, use four-letter words",
			},
		},
		"container image with one server": {
			files: files{
				"zoo.cfg":   "dataDir={dir}/data\ntickTime=2000\ninitLimit=5\nsyncLimit=2\nserver.7=localhost:2888:3888;2181\n",
				"data/myid": "garbage is of no importance to a server that stands alone",
			},
			want: quoll.Config{
				DataDir: "data", ClientAddress: "0.0.0.0:2181", TickTime: 2 * time.Second, InitLimit: 5, SyncLimit: 2, MyID: 7,
			},
			warnings: []string{"zoo.cfg:5: server.7: one server only: it stands alone and this line is not used"},
		},
		"one server that is an ensemble": {
			files: files{
				"zoo.cfg":   "dataDir={dir}/data\ninitLimit=5\nsyncLimit=2\nstandaloneEnabled=false\nserver.7=localhost:2888:3888;2181\n",
				"data/myid": "7",
			},
			want: quoll.Config{
				DataDir: "data", ClientAddress: "0.0.0.0:2181", InitLimit: 5, SyncLimit: 2, MyID: 7,
				Servers: []quoll.ServerSpec{{ID: 7, Host: "localhost", LinkPort: 2888, ElectionPort: 3888, ClientAddress: "0.0.0.0:2181"}},
			},
			warnings: []string{"zoo.cfg: no failure of a server is survived: that takes three participants"},
		},
		"kafka": {
			files: files{"zoo.cfg": "dataDir={dir}/zookeeper\nclientPort=2181\nmaxClientCnxns=0\nadmin.enableServer=false\n# admin.serverPort=8080\n"},
			want:  quoll.Config{DataDir: "zookeeper", ClientAddress: ":2181", MaxClientCnxns: -1},
		},
		"kubernetes, a dynamic file": {
			files: files{
				"zoo.cfg": "4lw.commands.whitelist=cons, envi, conf, crst, srvr, stat, mntr, ruok\ndataDir={dir}/data\n" +
					"standaloneEnabled=false\nreconfigEnabled=false\nskipACL=yes\nmetricsProvider.httpPort=7000\ninitLimit=10\nsyncLimit=2\n" +
					"tickTime=2000\nglobalOutstandingLimit=1000\npreAllocSize=65536\nsnapCount=10000\ncommitLogCount=500\n" +
					"snapSizeLimitInKb=4194304\nmaxCnxns=0\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n" +
					"autopurge.purgeInterval=1\nquorumListenOnAllIPs=true\ndynamicConfigFile={dir}/data/zoo.cfg.dynamic\n",
				"data/zoo.cfg.dynamic": "server.1=zk-0.zk.svc:2888:3888:participant;0.0.0.0:2181\nserver.2=zk-1.zk.svc:2888:3888:observer;0.0.0.0:2181\n",
				"data/myid":            "1\n",
			},
			want: quoll.Config{
				DataDir: "data", ClientAddress: "0.0.0.0:2181", TickTime: 2 * time.Second, InitLimit: 10, SyncLimit: 2, SkipACL: true,
				PreAllocSize: 64 << 20, SnapCount: 10000, SnapSizeLimit: 4 << 30,
				MinSessionTimeout: 4 * time.Second, MaxSessionTimeout: 40 * time.Second, PurgeInterval: time.Hour,
				ListenOnAllIPs: true, MyID: 1,
				FourLetterWords: []string{"cons", "envi", "conf", "crst", "srvr", "stat", "mntr", "ruok"},
				Servers: []quoll.ServerSpec{
					{ID: 1, Host: "zk-0.zk.svc", LinkPort: 2888, ElectionPort: 3888, ClientAddress: "0.0.0.0:2181"},
					{ID: 2, Host: "zk-1.zk.svc", LinkPort: 2888, ElectionPort: 3888, ClientAddress: "0.0.0.0:2181", Observer: true},
				},
			},
			warnings: []string{
				"zoo.cfg: no failure of a server is survived: that takes three participants",
				"zoo.cfg:6: metricsProvider.httpPort: a metrics provider is not built: ignored, use the four-letter word mntr",
				"zoo.cfg:13: commitLogCount: tunes a part of ZooKeeper that has no counterpart here: ignored",
			},
		},
		"hierarchical, IPv6, several addresses": {
			files: files{
				"zoo.cfg": "dataDir : {dir}/data\nclientPort 2181\ninitLimit=5\nsyncLimit=2\n" +
					"server.1=[2001:db8::1]:2888:3888|[fd00::1]:2889:3889\nserver.2=[2001:db8::2]:2888:3888\n" +
					"server.3=[2001:db8::3]:2888:3888\nserver.4=[2001:db8::4]:2888:3888:OBSERVER;;2281\n" +
					"group.1=1:2\ngroup.2=3\nweight.2=0\n",
				"data/myid": "4",
			},
			want: quoll.Config{
				DataDir: "data", ClientAddress: ":2181", InitLimit: 5, SyncLimit: 2, MyID: 4,
				Servers: []quoll.ServerSpec{
					{ID: 1, Host: "2001:db8::1", LinkPort: 2888, ElectionPort: 3888},
					{ID: 2, Host: "2001:db8::2", LinkPort: 2888, ElectionPort: 3888},
					{ID: 3, Host: "2001:db8::3", LinkPort: 2888, ElectionPort: 3888},
					{ID: 4, Host: "2001:db8::4", LinkPort: 2888, ElectionPort: 3888, Observer: true},
				},
				Groups:  map[int][]zab.ServerID{1: {1, 2}, 2: {3}},
				Weights: map[zab.ServerID]int{2: 0},
			},
			warnings: []string{
				"zoo.cfg:5: server.1: several addresses for one server are not built: only [2001:db8::1]:2888 is used",
				"zoo.cfg:8: server.4: TLS is not built: the secure client port stays closed",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings, err := read(t, c.files, c.defines...)
			require.NoError(t, err)
			if name == "go-zookeeper" {
				got.DataDir = "" // the directory itself
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.warnings, warnings)
		})
	}
}

// base is a sound standalone file in two lines; what a test adds starts on line 3.
const base = "dataDir={dir}/data\nclientPort=2181\n"

// Every key that has an effect, with a value that shows.
func TestKeys(t *testing.T) {
	for line, want := range map[string]quoll.Config{
		"dataLogDir={dir}/log":                                   {DataLogDir: "log"},
		"tickTime=0x7d0":                                         {TickTime: 2 * time.Second},
		"initLimit=7":                                            {InitLimit: 7},
		"syncLimit=7":                                            {SyncLimit: 7},
		"minSessionTimeout=100":                                  {MinSessionTimeout: 100 * time.Millisecond},
		"minSessionTimeout=-1":                                   {},
		"maxSessionTimeout=90000":                                {MaxSessionTimeout: 90 * time.Second},
		"maxClientCnxns=7":                                       {MaxClientCnxns: 7},
		"maxClientCnxns=0":                                       {MaxClientCnxns: -1},
		"maxCnxns=7":                                             {MaxCnxns: 7},
		"clientPortAddress=[::1]":                                {ClientAddress: "[::1]:2181"},
		"clientPortAddress=10.0.0.1":                             {ClientAddress: "10.0.0.1:2181"},
		"clientPort=2182":                                        {ClientAddress: ":2182"},
		"quorumListenOnAllIPs=TRUE":                              {ListenOnAllIPs: true},
		"quorumListenOnAllIPs=false":                             {},
		"electionAlg=3":                                          {},
		"peerType=observer":                                      {},
		"autopurge.purgeInterval=24":                             {PurgeInterval: 24 * time.Hour},
		"autopurge.purgeInterval=500ms":                          {PurgeInterval: 500 * time.Millisecond},
		"autopurge.purgeInterval=5s":                             {PurgeInterval: 5 * time.Second},
		"autopurge.purgeInterval=5m":                             {PurgeInterval: 5 * time.Minute},
		"autopurge.purgeInterval=5h":                             {PurgeInterval: 5 * time.Hour},
		"autopurge.purgeInterval=2 d":                            {PurgeInterval: 48 * time.Hour},
		"autopurge.snapRetainCount=9":                            {SnapRetainCount: 9},
		"snapCount=5":                                            {SnapCount: 5},
		"snapSizeLimitInKb=2":                                    {SnapSizeLimit: 2048},
		"snapSizeLimitInKb=-1":                                   {SnapSizeLimit: -1},
		"preAllocSize=1024":                                      {PreAllocSize: 1 << 20},
		"forceSync=no":                                           {NoSync: true},
		"forceSync=Yes":                                          {},
		"skipACL=yes":                                            {SkipACL: true},
		"fsync.warningthresholdms=20":                            {FsyncWarning: 20 * time.Millisecond},
		"db.autocreate=false":                                    {RequireInitialize: true},
		"extendedTypesEnabled=true":                              {ExtendedTypes: true},
		"4lw.commands.whitelist=mntr,,ruok":                      {FourLetterWords: []string{"mntr", "ruok"}},
		"4lw.commands.whitelist=":                                {FourLetterWords: []string{}},
		"quoll.clusterName=blue":                                 {ClusterName: "blue"},
		"jute.maxbuffer=0x4fffff":                                {MaxBuffer: 0x4fffff},
		"znode.container.maxPerMinute=6":                         {ContainerMaxPerMinute: 6},
		"znode.container.checkIntervalMs=50":                     {ContainerCheckInterval: 50 * time.Millisecond},
		"znode.container.maxNeverUsedIntervalMs=0":               {},
		"znode.container.maxNeverUsedIntervalMs=70":              {ContainerMaxNeverUsed: 70 * time.Millisecond},
		"DigestAuthenticationProvider.superDigest=super\\:aGk=":  {SuperDigest: "super:aGk="},
		"DigestAuthenticationProvider.digestAlg=sha256":          {DigestAlg: "SHA-256"},
		"DigestAuthenticationProvider.digestAlg=SHA-1":           {DigestAlg: "SHA1"},
		"DigestAuthenticationProvider.enabled=false":             {DigestDisabled: true},
		"syncEnabled=true\nsslQuorum=False\ndigest.enabled=true": {},
	} {
		got, warnings, err := read(t, files{"zoo.cfg": strings.Replace(base+line, "clientPort=2181\nclientPort=", "\nclientPort=", 1)})
		require.NoError(t, err, line)
		require.Empty(t, warnings, line)
		want.DataDir = "data"
		if want.ClientAddress == "" {
			want.ClientAddress = ":2181"
		}
		require.Equal(t, want, got, line)
	}
}

// What a line of zoo.cfg and a property of the command line do to each other.
func TestDefines(t *testing.T) {
	for _, c := range []struct {
		line, define string
		want         quoll.Config
		warnings     []string
	}{
		{"", "zookeeper.snapCount=5", quoll.Config{SnapCount: 5}, nil},
		{"snapCount=6", "zookeeper.snapCount=6", quoll.Config{SnapCount: 6}, nil},
		{
			"snapCount=6", "zookeeper.snapCount=5",
			quoll.Config{SnapCount: 6},
			[]string{"-Dzookeeper.snapCount: is overridden by the line 3 of zoo.cfg"},
		},
		{"", "jute.maxbuffer=5000", quoll.Config{MaxBuffer: 5000}, nil},
		{
			"jute.maxbuffer=6000", "jute.maxbuffer=5000",
			quoll.Config{MaxBuffer: 5000},
			[]string{"zoo.cfg:3: jute.maxbuffer: is overridden by -Djute.maxbuffer on the command line"},
		},
		{"", "quoll.clusterName=blue", quoll.Config{ClusterName: "blue"}, nil},
		{
			"", "zookeeper.jute.maxbuffer=5000",
			quoll.Config{},
			[]string{"-Dzookeeper.jute.maxbuffer: is ignored, as by ZooKeeper: the property is jute.maxbuffer"},
		},
		{
			"", "zookeeper.tickTime=5",
			quoll.Config{},
			[]string{"-Dzookeeper.tickTime: is ignored, as by ZooKeeper: write tickTime in zoo.cfg"},
		},
		{
			"", "zookeeper.server.1=a:1:2",
			quoll.Config{},
			[]string{"-Dzookeeper.server.1: is ignored, as by ZooKeeper: write server.1 in zoo.cfg"},
		},
		{
			"", "snapCount=5",
			quoll.Config{},
			[]string{"-DsnapCount: is not a property that ZooKeeper or Quoll knows: ignored"},
		},
		{
			"zookeeper.snapCount=5", "user.dir=/",
			quoll.Config{},
			[]string{"zoo.cfg:3: zookeeper.snapCount: is ignored, as by ZooKeeper, which puts the prefix itself: write snapCount"},
		},
		{"", "com.sun.management.jmxremote", quoll.Config{}, nil},
		{"", "zookeeper.nonsense", quoll.Config{}, []string{"-Dzookeeper.nonsense: is not a key of zoo.cfg: ignored"}},
	} {
		got, warnings, err := read(t, files{"zoo.cfg": base + c.line}, c.define)
		require.NoError(t, err, c.define)
		require.Equal(t, c.warnings, warnings, c.define)
		c.want.DataDir, c.want.ClientAddress = "data", ":2181"
		require.Equal(t, c.want, got, c.define)
	}
	got, _, err := read(t, files{"zoo.cfg": base}, "zookeeper.snapCount=5", "zookeeper.snapCount=6")
	require.NoError(t, err)
	require.Equal(t, 6, got.SnapCount, "the last one counts")
}

func TestWarnings(t *testing.T) {
	for line, want := range map[string]string{
		"ticktime=2000":                "zoo.cfg:3: ticktime: is not a key of zoo.cfg: ignored; did you mean tickTime?",
		"nonsense=1":                   "zoo.cfg:3: nonsense: is not a key of zoo.cfg: ignored",
		"clientPort=2181\nsnapCount=0": "zoo.cfg:4: snapCount: 0 is too low: 2 is used",
		"autopurge.snapRetainCount=1":  "zoo.cfg:3: autopurge.snapRetainCount: 1 is too low: 3 is used",
		"maxCnxns=1\nmaxCnxns=2":       "zoo.cfg:4: maxCnxns: is set twice: this line counts, line 3 does not",
		"4lw.commands.whitelist=rouk":  `zoo.cfg:3: 4lw.commands.whitelist: "rouk" is not a four-letter word`,
		"secureClientPort=2281":        "zoo.cfg:3: secureClientPort: TLS is not built: this port stays closed",
		"sslQuorum=true":               "zoo.cfg:3: sslQuorum: TLS is not built: ignored",
		"enforceQuota=true":            "zoo.cfg:3: enforceQuota: quotas are not enforced: limits are stored and nothing is refused",
		"localSessionsEnabled=true":    "zoo.cfg:3: localSessionsEnabled: local sessions are not built: every session is global",
		"quorum.auth.enableSasl=true": "zoo.cfg:3: quorum.auth.enableSasl: SASL between servers is not built: ignored, " +
			"servers do not authenticate each other",
		"ssl.keyStore.password=secret": "zoo.cfg:3: ssl.keyStore.password: TLS is not built: ignored",
		"readonlymode.enabled=true":    "zoo.cfg:3: readonlymode.enabled: read-only mode is not built: without a quorum nobody is served",
		"leaderServes=no":              "zoo.cfg:3: leaderServes: the leader always serves clients: ignored",
		"globalOutstandingLimit=5": "zoo.cfg:3: globalOutstandingLimit: requests that wait are bounded in bytes, " +
			"per connection and per server: ignored",
		"digest.enabled=false": "zoo.cfg:3: digest.enabled: cannot be switched off here: ignored",
	} {
		_, warnings, err := read(t, files{"zoo.cfg": base + line})
		require.NoError(t, err, line)
		require.Equal(t, []string{want}, warnings, line)
	}
}

func TestEnsembleWarnings(t *testing.T) {
	server := "dataDir={dir}/data\nclientPort=2181\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
	limits := "initLimit=5\nsyncLimit=2\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"limits": {server, []string{
			"zoo.cfg: initLimit: is not set: 10 ticks are used", "zoo.cfg: syncLimit: is not set: 5 ticks are used",
		}},
		"role": {server + limits + "peerType=observer\n", []string{
			"zoo.cfg:8: peerType: differs from the role in server.1: that line counts",
		}},
		"even":       {server + limits + "server.4=d:1:2\n", []string{"zoo.cfg: 4 participants survive no more failures than 3"}},
		"no warning": {server + limits + "server.4=d:1:2:observer\npeerType=participant\n", nil},
	} {
		_, warnings, err := read(t, files{"zoo.cfg": c.text, "data/myid": "1"})
		require.NoError(t, err, name)
		require.Equal(t, c.want, warnings, name)
	}
}

// Every port number is one, wherever a port is written, and all of them are read as written.
func TestEveryPort(t *testing.T) {
	const servers, ports = 254, 65535
	written := 0
	port := func() int { // from 1 again when all were written
		written++
		return (written-1)%ports + 1
	}
	for written < ports {
		text := strings.Builder{}
		clientPort := port()
		fmt.Fprintf(&text, "dataDir={dir}/data\ninitLimit=5\nsyncLimit=2\nclientPort=%d\n", clientPort)
		var want []quoll.ServerSpec
		for id := range zab.ServerID(servers) {
			s := quoll.ServerSpec{ID: id + 1, Host: "h" + strconv.Itoa(int(id)), LinkPort: port(), ElectionPort: port()}
			fmt.Fprintf(&text, "server.%d=%s:%d:%d\n", s.ID, s.Host, s.LinkPort, s.ElectionPort)
			want = append(want, s)
		}
		cfg, _, err := read(t, files{"zoo.cfg": text.String(), "data/myid": "1\n"})
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(":%d", clientPort), cfg.ClientAddress)
		require.Equal(t, want, cfg.Servers)
	}
}
