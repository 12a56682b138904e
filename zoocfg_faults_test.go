package quoll_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
)

const (
	serverForm = "host:quorumPort:electionPort[:participant|:observer][;[clientHost:]clientPort]"
	badEscape  = `malformed \u escape: it needs four hexadecimal digits (a backslash in a path is written twice)`
)

// Every value that cannot be meant, with the whole message.
func TestFaultyLines(t *testing.T) {
	for line, want := range map[string]string{
		"enforce.auth.enabled=true": "enforce.auth.enabled: clients cannot be made to authenticate yet, so this server would be open to all:" +
			" protect its port by other means, and remove this line",
		"tickTime=2s":                               `tickTime: "2s" is not a number`,
		"tickTime=":                                 `tickTime: "" is not a number`,
		"tickTime=2000 # ms":                        `tickTime: "2000 # ms" is not a number (a comment needs a line of its own)`,
		"tickTime=99999999999":                      `tickTime: "99999999999" is too large: at most 2147483647`,
		"tickTime=0":                                "tickTime: 0 is too small: at least 1",
		"tickTime=9":                                "tickTime: 9ms is too short: at least 10ms",
		"initLimit=0":                               "initLimit: 0 is too small: at least 1",
		"syncLimit=-5":                              "syncLimit: -5 is too small: at least 1",
		"minSessionTimeout=200000":                  "minSessionTimeout: 3m20s is longer than maxSessionTimeout, 1m0s",
		"maxClientCnxns=many":                       `maxClientCnxns: "many" is not a number`,
		"maxCnxns=-1":                               "maxCnxns: -1 is negative",
		"clientPort=65536":                          `clientPort: "65536" is not a port: 1..65535`,
		"clientPort=0":                              "clientPort: is not set, so no client could connect: write clientPort=2181",
		"clientPortAddress=":                        `clientPortAddress: "" is not an address`,
		"clientPortAddress=a b":                     `clientPortAddress: "a b" is not an address`,
		"secureClientPort=tls":                      `secureClientPort: "tls" is not a port: 1..65535`,
		"electionAlg=0":                             `electionAlg: "0" is not available: only 3, fast leader election`,
		"peerType=follower":                         `peerType: "follower" is not a role: participant or observer`,
		"quorumListenOnAllIPs=yes":                  `quorumListenOnAllIPs: "yes" is neither true nor false`,
		"standaloneEnabled=maybe":                   `standaloneEnabled: "maybe" is neither true nor false`,
		"standaloneEnabled=false":                   "standaloneEnabled: false needs server lines: at least server.1",
		"autopurge.purgeInterval=x":                 `autopurge.purgeInterval: "x" is not a number`,
		"autopurge.purgeInterval=9999999999999d":    `autopurge.purgeInterval: "9999999999999" is too large: at most 106751`,
		"autopurge.snapRetainCount=three":           `autopurge.snapRetainCount: "three" is not a number`,
		"snapCount=1e5":                             `snapCount: "1e5" is not a number`,
		"snapSizeLimitInKb=9007199254740992":        `snapSizeLimitInKb: "9007199254740992" is too large: at most 9007199254740991`,
		"preAllocSize=0":                            "preAllocSize: 0 is too small: at least 1",
		"forceSync=true":                            `forceSync: "true" is neither yes nor no`,
		"skipACL=1":                                 `skipACL: "1" is neither yes nor no`,
		"fsync.warningthresholdms=0":                "fsync.warningthresholdms: 0 is too small: at least 1",
		"db.autocreate=no":                          `db.autocreate: "no" is neither true nor false`,
		"extendedTypesEnabled=on":                   `extendedTypesEnabled: "on" is neither true nor false`,
		"quoll.clusterName=":                        "quoll.clusterName: is empty",
		"quoll.clusterName=a\\u0007":                "quoll.clusterName: must have at most 255 bytes and no control characters",
		"jute.maxbuffer=1m":                         `jute.maxbuffer: "1m" is not a number`,
		"jute.maxbuffer=0":                          "jute.maxbuffer: 0 is too small: at least 1",
		"jute.maxbuffer=0x7fffffff":                 "jute.maxbuffer: 2147483647 is too large: at most 67108864",
		"readonlymode.enabled=ja":                   `readonlymode.enabled: "ja" is neither true nor false`,
		"znode.container.checkIntervalMs=0":         "znode.container.checkIntervalMs: 0 is too small: at least 1",
		"znode.container.maxPerMinute=0":            "znode.container.maxPerMinute: 0 is too small: at least 1",
		"znode.container.maxNeverUsedIntervalMs=-1": "znode.container.maxNeverUsedIntervalMs: -1 is negative",
		"DigestAuthenticationProvider.digestAlg=MD5": `DigestAuthenticationProvider.digestAlg: "MD5" is not known: ` +
			"write one of SHA1, SHA-256, SHA-512",
		"DigestAuthenticationProvider.superDigest=secret": "DigestAuthenticationProvider.superDigest: " +
			"must read user:base64(digest of user:password)",
		"DigestAuthenticationProvider.enabled=2": `DigestAuthenticationProvider.enabled: "2" is neither true nor false`,
		"dataLogDir=":                            "dataLogDir: is empty",
		"dataLogDir=C:\\users":                   badEscape,
		"dynamicConfigFile={dir}/none":           "dynamicConfigFile: open none: no such file or directory",
		"server.0=a:1:2":                         `server.0: "0" is not the number of a server: 1..254`,
		"server.256=a:1:2":                       `server.256: "256" is not the number of a server: 1..254`,
		"server.x=a:1:2":                         `server.x: "x" is not the number of a server: 1..254`,
		"server.1=a:1":                           `server.1: "a:1" is not ` + serverForm,
		"server.1=:1:2":                          `server.1: ":1:2" is not ` + serverForm,
		"server.1=":                              `server.1: "" is not ` + serverForm,
		"server.1=a:1:2:participant:4":           `server.1: "a:1:2:participant:4" has too many colons: write ` + serverForm + `, an IPv6 address in []`,
		"server.1=fe80::1:2888:3888":             `server.1: "fe80::1:2888:3888" has too many colons: write ` + serverForm + `, an IPv6 address in []`,
		"server.1=[::1:2888:3888":                `server.1: "[::1:2888:3888": an IPv6 address reads [address]:port`,
		"server.1=a b:1:2":                       `server.1: "a b:1:2" names no host`,
		"server.1=a:1:2:leader":                  `server.1: "leader" is not a role: participant or observer`,
		"server.1=a:x:2":                         `server.1: "x" is not a port: 1..65535`,
		"server.1=a:1:70000":                     `server.1: "70000" is not a port: 1..65535`,
		"server.1=a:1:2;x":                       `server.1: "x" is not a port: 1..65535`,
		"server.1=a:1:2;":                        `server.1: "" is not a port: 1..65535`,
		"server.1=a:1:2;b:c:3":                   `server.1: client address "b:c:3" is not [host:]port`,
		"server.1=a:1:2;[::1]":                   `server.1: "[::1]": an IPv6 address reads [address]:port`,
		"server.1=a:1:2;1;x":                     `server.1: "x" is not a port: 1..65535`,
		"server.1=a:1:2;1;2;3":                   `server.1: "a:1:2;1;2;3" has too many semicolons: write ` + serverForm,
		"server.1=a:1:2|b:1:2:observer":          "server.1: the addresses of one server have different roles",
		"group.x=1":                              `group.x: "x" is not the number of a group`,
		"group.1=1,2":                            `group.1: "1,2" is not the number of a server: 1..254; write group.1=1:2:3`,
		"weight.1=heavy":                         `weight.1: "heavy" is not a weight: write a number from 0 up`,
		"weight.a=1":                             `weight.a: "a" is not the number of a server: 1..254`,
	} {
		text := base + line
		if strings.HasPrefix(line, "clientPort=") {
			text = "dataDir={dir}/data\n\n" + line
		}
		_, _, err := read(t, files{"zoo.cfg": text})
		require.EqualError(t, err, "zoo.cfg:3: "+want, line)
	}
}

// Settings that are sound one by one and faulty together. Three servers are a, b and c.
func TestFaultyFiles(t *testing.T) {
	three := base + "initLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
	for name, c := range map[string]struct {
		text, myid string
		want       string
	}{
		"nothing": {"", "", "zoo.cfg: clientPort: is not set, so no client could connect: write clientPort=2181"},
		"no dataDir": {
			"clientPort=2181\n", "",
			"zoo.cfg: dataDir: is not set: name the directory for snapshots and logs",
		},
		"TLS alone": {
			"dataDir={dir}/data\nsecureClientPort=2281\n", "",
			"zoo.cfg: clientPort: is not set, and TLS is not built, so no client could connect: write clientPort=2181",
		},
		"address without port": {
			"dataDir={dir}/data\nclientPortAddress=10.0.0.1\n", "",
			"zoo.cfg:2: clientPortAddress: needs a clientPort",
		},
		"no myid": {
			three, "",
			"data/myid: cannot be read: a server of an ensemble needs a file with its number, the N of its server.N line, " +
				"alone on the first line: open data/myid: no such file or directory",
		},
		"empty myid":   {three, "\n1", `data/myid:1: "" is not the number of a server: 1..254`},
		"myid a word":  {three, "one\n", `data/myid:1: "one" is not the number of a server: 1..254`},
		"myid 0":       {three, "0\n", `data/myid:1: "0" is not the number of a server: 1..254`},
		"myid 256":     {three, "256\n", `data/myid:1: "256" is not the number of a server: 1..254`},
		"another myid": {three, "4\n", "data/myid:1: 4 is the number of this server, but there is no server.4 line"},
		"myid 255": {
			three, "255",
			`data/myid:1: "255" is not the number of a server: 1..254`,
		},
		"server 255": {
			three + "server.255=d:1:2\n", "1",
			`zoo.cfg:8: server.255: "255" is not the number of a server: 1..254`,
		},
		"one server twice":       {three + "server.03=d:1:2\n", "1", "zoo.cfg:8: server.03: server 3 has another line"},
		"equal ports":            {three + "server.4=d:7:7\n", "1", "zoo.cfg:8: server.4: quorum and election port are both 7: they must differ"},
		"one address twice":      {three + "server.4=c:1:5\n", "1", "zoo.cfg:8: server.4: c:1 is the quorum address and already the quorum address of server.3"},
		"election at the quorum": {three + "server.4=c:5:1\n", "1", "zoo.cfg:8: server.4: c:1 is the election address and already the quorum address of server.3"},
		"client port between servers": {
			strings.Replace(three, "2181", "2", 1), "1",
			"zoo.cfg:2: clientPort: 2 is also a port of server.1 between servers: they must differ",
		},
		"two client ports": {
			three + "server.4=d:1:2;2182\n", "4",
			"zoo.cfg:2: clientPort: :2181 differs from 0.0.0.0:2182 in server.4: leave one of them out",
		},
		"two client addresses": {
			three + "server.4=d:1:2;10.0.0.1:2181\nclientPortAddress=10.0.0.2\n", "4",
			"zoo.cfg:2: clientPort: 10.0.0.2:2181 differs from 10.0.0.1:2181 in server.4: leave one of them out",
		},
		"observers alone": {
			base + "server.1=a:1:2:observer\n", "1",
			"zoo.cfg: standaloneEnabled: observers need an ensemble: with fewer than two participants write " +
				"standaloneEnabled=false, and at least one participant",
		},
		"one participant and an observer": {
			base + "server.1=a:1:2\nserver.2=b:1:2:observer\n", "1",
			"zoo.cfg: standaloneEnabled: observers need an ensemble: with fewer than two participants write " +
				"standaloneEnabled=false, and at least one participant",
		},
		"nobody votes": {
			base + "standaloneEnabled=false\nserver.1=a:1:2:observer\n", "1",
			"zoo.cfg: no server votes: at least one must be a participant",
		},
		"weights without groups": {
			three + "weight.2=2\n", "1",
			"zoo.cfg:5: server.1 is in no group: add it to one, or remove all group.N and weight.N\n" +
				"zoo.cfg:6: server.2 is in no group: add it to one, or remove all group.N and weight.N\n" +
				"zoo.cfg:7: server.3 is in no group: add it to one, or remove all group.N and weight.N",
		},
		"two groups for one": {
			three + "group.1=1:2:3\ngroup.2=3\n", "1",
			"zoo.cfg:7: server.3 is in group.1 and in group.2",
		},
		"a group with a stranger": {three + "group.1=1:2:3:9\n", "1", "zoo.cfg:8: group.1: server.9 does not vote"},
		"a weight for a stranger": {
			three + "group.1=1:2:3\nweight.9=1\n", "1",
			"zoo.cfg:9: weight.9: server.9 does not vote",
		},
		"several faults at once": {
			three + "tickTime=x\nskipACL=x\nserver.4=y\n", "1",
			"zoo.cfg:8: tickTime: \"x\" is not a number\nzoo.cfg:9: skipACL: \"x\" is neither yes nor no\n" +
				"zoo.cfg:10: server.4: \"y\" is not " + serverForm,
		},
	} {
		f := files{"zoo.cfg": c.text}
		if c.myid != "" {
			f["data/myid"] = c.myid
		}
		_, _, err := read(t, f)
		require.EqualError(t, err, c.want, name)
	}
}

func TestFaultyDynamicFiles(t *testing.T) {
	for name, c := range map[string]struct{ static, dynamic, want string }{
		"a version line": {
			"", "server.1=a:1:2;2181\nversion=100\n",
			"dyn:2: version: the version is the end of the file's name, never a line in it",
		},
		"another key": {
			"", "tickTime=5\nserver.1=a:1:2;2181\n",
			"dyn:1: tickTime: only server, group and weight lines may be in a dynamicConfigFile",
		},
		"servers in both": {
			"server.2=a:1:2\n", "server.1=a:1:2;2181\n",
			"zoo.cfg:3: server.2: must not be in zoo.cfg when line 2 names a dynamicConfigFile",
		},
		"a bad line": {"", "server.1=a\n", `dyn:1: server.1: "a" is not ` + serverForm},
	} {
		_, _, err := read(t, files{
			"zoo.cfg": "dataDir={dir}/data\ndynamicConfigFile={dir}/dyn\n" + c.static, "dyn": c.dynamic, "data/myid": "1",
		})
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestFaultyDefines(t *testing.T) {
	for define, want := range map[string]string{
		"zookeeper.snapCount=x": `-Dzookeeper.snapCount: "x" is not a number`,
		"zookeeper.snapCount":   `-Dzookeeper.snapCount: "" is not a number`,
		"jute.maxbuffer=-1":     "-Djute.maxbuffer: -1 is too small: at least 1",
		"zookeeper.DigestAuthenticationProvider.superDigest=x": "-Dzookeeper.DigestAuthenticationProvider.superDigest: " +
			"must read user:base64(digest of user:password)",
	} {
		_, _, err := read(t, files{"zoo.cfg": base}, define)
		require.EqualError(t, err, want)
	}
}

func TestNoFile(t *testing.T) {
	_, _, err := quoll.ReadConfig("/nowhere/zoo.cfg", nil)
	require.EqualError(t, err, "configuration: open /nowhere/zoo.cfg: no such file or directory")
}

// A fault is a value with its place, for whoever wants more than the text.
func TestConfigError(t *testing.T) {
	_, _, err := quoll.ReadConfig(writeFile(t, "dataDir=/tmp\nclientPort=x\n"), nil)
	fault, ok := errors.AsType[*quoll.ConfigError](err)
	require.True(t, ok)
	require.Equal(t, "clientPort", fault.Key)
	require.Equal(t, 2, fault.Line)
	require.True(t, strings.HasSuffix(fault.File, "zoo.cfg"))
}
