package quoll

import "strings"

// ignoredKey is a key of ZooKeeper without an effect here. A name that ends in "*" stands for all
// keys that start so.
type ignoredKey struct {
	name  string
	inert string // the value that asks for nothing, and so is not worth a warning
	text  string
}

const (
	noTLS      = "TLS is not built: ignored"
	noSASL     = "SASL is not built: ignored, clients cannot authenticate with it"
	noPeerSASL = "SASL between servers is not built: ignored, servers do not authenticate each other"
	noAdmin    = "the HTTP admin server is not built: ignored, use four-letter words"
	noMetrics  = "a metrics provider is not built: ignored, use the four-letter word mntr"
	noReconfig = "changes of the membership at run time are not built: it stays as the server lines say"
	noLocal    = "local sessions are not built: every session is global"
	noQuota    = "quotas are not enforced: limits are stored and nothing is refused"
	noThrottle = "requests that wait are bounded in bytes, per connection and per server: ignored"
	noMaster   = "observers attach to the leader only: ignored"
	noAudit    = "the audit log is not built: ignored"
	noOracle   = "an oracle for quorums is not built: ignored, quorums are counted"
	ownWay     = "tunes a part of ZooKeeper that has no counterpart here: ignored"
	always     = "cannot be switched off here: ignored"
)

// ignoredKeys are the known keys without an effect: features that are not built, and screws of an
// inside that is not ours. The first match counts.
var ignoredKeys = []ignoredKey{
	{"reconfigEnabled", "false", noReconfig},
	{"localSessionsEnabled", "false", noLocal},
	{"localSessionsUpgradingEnabled", "false", noLocal},
	{"enforceQuota", "false", noQuota},
	{"leaderServes", "yes", "the leader always serves clients: ignored"},
	{"syncEnabled", "true", "observers always write to disk: ignored"},
	{"observerMasterPort", "0", noMaster},
	{"oraclePath", "", noOracle},
	{"multiAddress.*", "false", "several addresses for one server are not built: the first is used"},
	{"emulate353TTLNodes", "false", "the TTL encoding of 3.5.3 is not supported: ignored"},
	{"clientPortListenBacklog", "-1", "the backlog is the operating system's: ignored"},
	{"audit.*", "false", noAudit},

	{"sslQuorum*", "false", noTLS},
	{"portUnification", "false", noTLS},
	{"client.portUnification", "false", noTLS},
	{"client.certReload", "false", noTLS},
	{"ssl.*", "", noTLS},
	{"secureClientPortAddress", "", noTLS},
	{"fips-mode", "", noTLS},
	{"X509AuthenticationProvider.*", "", noTLS},

	{"quorum.auth.*", "false", noPeerSASL},
	{"quorum.cnxn.threads.size", "", ownWay},
	{"authProvider.*", "", "other authentication providers than digest and ip are not built: ignored"},
	{"sessionRequireClientSASLAuth", "false", noSASL},
	{"allowSaslFailedClients", "false", noSASL},
	{"sasl.*", "", noSASL},
	{"kerberos.*", "", noSASL},
	{"superUser*", "", noSASL},
	{"letAnySaslUserDoX", "", noSASL},
	{"enforce.auth.schemes", "", "has no effect without enforce.auth.enabled"},
	{"ensembleAuthName", "", "the ensemble scheme is not built: ignored"},
	{"IPAuthenticationProvider.*", "false", noAdmin},

	{"admin.enableServer", "false", noAdmin},
	{"admin.*", "", noAdmin},
	{"metricsProvider.*", "", noMetrics},
	{"jvm.pause.*", "", "there is no JVM: ignored"},

	{"globalOutstandingLimit", "1000", noThrottle},
	{"request_throttle*", "", noThrottle},
	{"request_stale_*", "", noThrottle},
	{"throttled_op_wait_time", "0", noThrottle},
	{"largeRequest*", "-1", noThrottle},
	{"connection_throttle_*", "", noThrottle},

	{"digest.enabled", "true", always},
	{"closeSessionTxn.enabled", "true", always},
	{"serializeLastProcessedZxid.enabled", "true", always},
	{"datadir.autocreate", "true", "missing directories are created: ignored"},
	{"snapshot.*", "", ownWay},
	{"enableEagerACLCheck", "false", ownWay},

	{"txnLogSizeLimitInKb", "", ownWay},
	{"commitLogCount", "", ownWay},
	{"snapshotSizeFactor", "", ownWay},
	{"flushDelay", "", ownWay},
	{"maxWriteQueuePollTime", "", ownWay},
	{"maxBatchSize", "", ownWay},
	{"connectToLearnerMasterLimit", "", ownWay},
	{"maxResponseCacheSize", "", ownWay},
	{"maxGetChildrenResponseCacheSize", "", ownWay},
	{"cnxTimeout", "", ownWay},
	{"quorumCnxnTimeoutMs", "", ownWay},
	{"electionPortBindRetry", "", ownWay},
	{"fastleader.*", "", ownWay},
	{"leader.*", "", ownWay},
	{"leaderConnectDelayDuringRetryMs", "", ownWay},
	{"learner.*", "", ownWay},
	{"observer.*", "", ownWay},
	{"follower.*", "", ownWay},
	{"tcpKeepAlive", "", ownWay},
	{"clientTcpKeepAlive", "", ownWay},
	{"serverCnxnFactory", "", ownWay},
	{"nio.*", "", ownWay},
	{"netty.*", "", ownWay},
	{"commitProcessor.*", "", ownWay},
	{"intBufferStartingSizeBytes", "", ownWay},
	{"jute.maxbuffer.extrasize", "", ownWay},
	{"watchManagerName", "", ownWay},
	{"watcherClean*", "", ownWay},
	{"maxInProcessingDeadWatchers", "", ownWay},
}

func ignoredRule(name string) (ignoredKey, bool) {
	for _, k := range ignoredKeys {
		prefix, open := strings.CutSuffix(k.name, "*")
		if name == k.name || open && strings.HasPrefix(name, prefix) {
			return k, true
		}
	}
	return ignoredKey{}, false
}

// jvmPrefixes start the names of properties that are about a JVM or its logging.
var jvmPrefixes = []string{
	"java.", "javax.", "sun.", "com.sun.", "jdk.", "user.", "file.", "os.", "awt.", "line.", "path.",
	"log4j", "logback", "org.slf4j.", "org.apache.log4j.", "io.netty.", "visualvm.",
}

// isJVMProperty reports whether a property of the command line is about a JVM.
func isJVMProperty(name string) bool {
	for _, prefix := range jvmPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// ignoreJVM drops a property of the JVM: silently, as every start script passes some, but for the
// one that asks for a feature.
func (z *zooCfg) ignoreJVM(s setting) {
	if s.name == "java.security.auth.login.config" {
		z.warn(s, "%s", noSASL)
	}
}

// loggingKeys are properties zookeeper.* that only its logging configuration reads.
var loggingKeys = []string{
	"log.", "root.logger", "console.", "tracelog.", "auditlog.", "jmx.", "DistributedJMX",
}

func isLoggingKey(key string) bool {
	for _, prefix := range loggingKeys {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
