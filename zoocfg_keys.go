package quoll

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"quoll/transport/admin"
)

// keyRule says how a key of zoo.cfg reaches the Config.
type keyRule struct {
	direct bool // ZooKeeper reads it from zoo.cfg itself and never as a property
	jvm    bool // a property without the prefix "zookeeper."
	set    func(z *zooCfg, value string) error
}

// keyRules are the keys that have an effect.
var keyRules = map[string]keyRule{
	"dataDir":                      {direct: true, set: keyText(func(c *Config) *string { return &c.DataDir })},
	"dataLogDir":                   {direct: true, set: keyText(func(c *Config) *string { return &c.DataLogDir })},
	"enforce.auth.enabled":         {set: refuseEnforcedAuth},
	"dynamicConfigFile":            {direct: true, set: func(*zooCfg, string) error { return nil }}, // read by addDynamic
	"clientPort":                   {direct: true, set: setClientPort},
	"clientPortAddress":            {direct: true, set: setClientHost},
	"secureClientPort":             {direct: true, set: setSecurePort},
	"tickTime":                     {direct: true, set: keyMillis(func(c *Config) *time.Duration { return &c.TickTime }, positive)},
	"initLimit":                    {direct: true, set: keyCount(func(c *Config) *int { return &c.InitLimit }, positive)},
	"syncLimit":                    {direct: true, set: keyCount(func(c *Config) *int { return &c.SyncLimit }, positive)},
	"minSessionTimeout":            {direct: true, set: keyMillis(func(c *Config) *time.Duration { return &c.MinSessionTimeout }, unsetBelowZero)},
	"maxSessionTimeout":            {direct: true, set: keyMillis(func(c *Config) *time.Duration { return &c.MaxSessionTimeout }, unsetBelowZero)},
	"maxClientCnxns":               {direct: true, set: keyCount(func(c *Config) *int { return &c.MaxClientCnxns }, zeroIsNone)},
	"peerType":                     {direct: true, set: setPeerType},
	"electionAlg":                  {direct: true, set: setElectionAlg},
	"quorumListenOnAllIPs":         {direct: true, set: keyFlag(func(c *Config) *bool { return &c.ListenOnAllIPs }, true)},
	"standaloneEnabled":            {direct: true, set: setStandalone},
	"autopurge.purgeInterval":      {direct: true, set: setPurgeInterval},
	"autopurge.snapRetainCount":    {direct: true, set: setSnapRetainCount},
	"maxCnxns":                     {set: keyCount(func(c *Config) *int { return &c.MaxCnxns }, notNegative)},
	"snapCount":                    {set: setSnapCount},
	"snapSizeLimitInKb":            {set: keyKilobytes(func(c *Config) *int64 { return &c.SnapSizeLimit }, zeroIsNone)},
	"preAllocSize":                 {set: keyKilobytes(func(c *Config) *int64 { return &c.PreAllocSize }, positive)},
	"forceSync":                    {set: keyYesNo(func(c *Config) *bool { return &c.NoSync }, "no")},
	"skipACL":                      {set: keyYesNo(func(c *Config) *bool { return &c.SkipACL }, "yes")},
	"fsync.warningthresholdms":     {set: keyMillis(func(c *Config) *time.Duration { return &c.FsyncWarning }, positive)},
	"db.autocreate":                {set: keyFlag(func(c *Config) *bool { return &c.RequireInitialize }, false)},
	"extendedTypesEnabled":         {set: keyFlag(func(c *Config) *bool { return &c.ExtendedTypes }, true)},
	"4lw.commands.whitelist":       {set: setFourLetterWords},
	"quoll.clusterName":            {jvm: true, set: keyText(func(c *Config) *string { return &c.ClusterName })},
	"jute.maxbuffer":               {jvm: true, set: keyCount(func(c *Config) *int { return &c.MaxBuffer }, positive)},
	"readonlymode.enabled":         {jvm: true, set: setReadOnlyMode},
	"znode.container.maxPerMinute": {jvm: true, set: keyCount(func(c *Config) *int { return &c.ContainerMaxPerMinute }, positive)},
	"znode.container.checkIntervalMs": {
		jvm: true, set: keyMillis(func(c *Config) *time.Duration { return &c.ContainerCheckInterval }, positive),
	},
	"znode.container.maxNeverUsedIntervalMs": {
		jvm: true, set: keyMillis(func(c *Config) *time.Duration { return &c.ContainerMaxNeverUsed }, notNegative),
	},
	"DigestAuthenticationProvider.superDigest": {set: keyText(func(c *Config) *string { return &c.SuperDigest })},
	"DigestAuthenticationProvider.digestAlg":   {set: setDigestAlg},
	"DigestAuthenticationProvider.enabled":     {set: keyFlag(func(c *Config) *bool { return &c.DigestDisabled }, false)},
}

// limits says what the numbers at and below zero mean.
type limits uint8

const (
	positive       limits = iota // there are none
	notNegative                  // 0 is a number like any other
	zeroIsNone                   // 0 and below: no limit, which a Config says as -1
	unsetBelowZero               // below 0: as if not set
)

// judge reads a number and maps it to what the Config takes. Like Java's, it may be hexadecimal.
func (l limits) judge(value string, most int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if hex, ok := strings.CutPrefix(strings.ToLower(value), "0x"); ok {
		n, err = strconv.ParseInt(hex, 16, 64)
	}
	switch {
	case errors.Is(err, strconv.ErrRange) || n > most:
		return 0, fmt.Errorf("%q is too large: at most %d", value, most)
	case err != nil && strings.ContainsAny(value, "#!"):
		return 0, fmt.Errorf("%q is not a number (a comment needs a line of its own)", value)
	case err != nil:
		return 0, fmt.Errorf("%q is not a number", value)
	}
	switch l {
	case positive:
		if n < 1 {
			return 0, fmt.Errorf("%d is too small: at least 1", n)
		}
	case notNegative:
		if n < 0 {
			return 0, fmt.Errorf("%d is negative", n)
		}
	case zeroIsNone:
		if n <= 0 {
			return -1, nil
		}
	case unsetBelowZero:
		return max(n, 0), nil
	}
	return n, nil
}

func keyText(field func(*Config) *string) func(*zooCfg, string) error {
	return func(z *zooCfg, value string) error {
		if value == "" {
			return errors.New("is empty")
		}
		*field(&z.cfg) = value
		return nil
	}
}

func keyCount(field func(*Config) *int, l limits) func(*zooCfg, string) error {
	return func(z *zooCfg, value string) error {
		n, err := l.judge(value, math.MaxInt32)
		*field(&z.cfg) = int(n)
		return err
	}
}

func keyKilobytes(field func(*Config) *int64, l limits) func(*zooCfg, string) error {
	return func(z *zooCfg, value string) error {
		n, err := l.judge(value, math.MaxInt64>>10)
		if n > 0 {
			n <<= 10
		}
		*field(&z.cfg) = n
		return err
	}
}

func keyMillis(field func(*Config) *time.Duration, l limits) func(*zooCfg, string) error {
	return func(z *zooCfg, value string) error {
		n, err := l.judge(value, math.MaxInt32)
		*field(&z.cfg) = time.Duration(n) * time.Millisecond
		return err
	}
}

// keyFlag takes true or false; the field is true when the value is meant.
func keyFlag(field func(*Config) *bool, meant bool) func(*zooCfg, string) error {
	return func(z *zooCfg, value string) error {
		b, err := parseBool(value)
		*field(&z.cfg) = err == nil && b == meant
		return err
	}
}

// parseBool reads true or false. ZooKeeper takes anything else as false where the key is a
// property; then neither yes nor a slip of the pen does what it says.
func parseBool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, fmt.Errorf("%q is neither true nor false", value)
	}
}

// keyYesNo takes yes or no; the field is true when the value is meant.
func keyYesNo(field func(*Config) *bool, meant string) func(*zooCfg, string) error {
	return func(z *zooCfg, value string) error {
		v := strings.ToLower(value)
		if v != "yes" && v != "no" {
			return fmt.Errorf("%q is neither yes nor no", value)
		}
		*field(&z.cfg) = v == meant
		return nil
	}
}

// setClientPort takes the port; 0 is none, as in ZooKeeper.
func setClientPort(z *zooCfg, value string) (err error) {
	if value == "0" {
		return nil
	}
	z.clientPort, err = parsePort(value)
	z.hasPort = true
	return err
}

func setClientHost(z *zooCfg, value string) error {
	host := strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
	if host == "" || strings.ContainsAny(host, "[]/ \t,") {
		return fmt.Errorf("%q is not an address", value)
	}
	z.clientHost = host
	return nil
}

func setSecurePort(z *zooCfg, value string) error {
	if value == "0" {
		return nil
	}
	z.hasSecure = true
	z.warn(z.at("secureClientPort"), "TLS is not built: this port stays closed")
	_, err := parsePort(value)
	return err
}

func setPeerType(z *zooCfg, value string) (err error) {
	z.hasPeerType = true
	z.observer, err = parseRole(value)
	return err
}

func setElectionAlg(_ *zooCfg, value string) error {
	if value != "3" {
		return fmt.Errorf("%q is not available: only 3, fast leader election", value)
	}
	return nil
}

func setStandalone(z *zooCfg, value string) (err error) {
	z.standalone, err = parseBool(value)
	return err
}

var purgeUnits = []struct {
	suffix string
	unit   time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}, {"", time.Hour}}

// setPurgeInterval takes hours, or a number with a unit. 0 is never.
func setPurgeInterval(z *zooCfg, value string) error {
	for _, u := range purgeUnits {
		number, ok := strings.CutSuffix(value, u.suffix)
		if !ok {
			continue
		}
		n, err := zeroIsNone.judge(strings.TrimSpace(number), int64(math.MaxInt64/u.unit))
		z.cfg.PurgeInterval = time.Duration(n) * u.unit
		return err
	}
	return nil
}

// setSnapRetainCount raises what is too low, as ZooKeeper does.
func setSnapRetainCount(z *zooCfg, value string) error {
	n, err := zeroIsNone.judge(value, math.MaxInt32)
	if err == nil && n < DefaultSnapRetainCount {
		z.warn(z.at("autopurge.snapRetainCount"), "%s is too low: %d is used", value, DefaultSnapRetainCount)
		n = DefaultSnapRetainCount
	}
	z.cfg.SnapRetainCount = int(n)
	return err
}

// setSnapCount raises what is too low, as ZooKeeper does.
func setSnapCount(z *zooCfg, value string) error {
	n, err := zeroIsNone.judge(value, math.MaxInt32)
	if err == nil && n < 2 {
		z.warn(z.at("snapCount"), "%s is too low: 2 is used", value)
		n = 2
	}
	z.cfg.SnapCount = int(n)
	return err
}

// setReadOnlyMode takes what is left of it: clients ask isro before they look for another server.
func setReadOnlyMode(z *zooCfg, value string) (err error) {
	if z.cfg.ReadOnlyMode, err = parseBool(value); z.cfg.ReadOnlyMode {
		z.warn(z.at("readonlymode.enabled"), "read-only mode is not built: without a quorum nobody is served")
	}
	return err
}

// setDigestAlg takes the names that Java knows for the hashes that Quoll has.
func setDigestAlg(z *zooCfg, value string) error {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "-", "") }
	i := slices.IndexFunc(digestAlgs, func(alg string) bool { return plain(alg) == plain(value) })
	if i < 0 {
		return fmt.Errorf("%q is not known: write one of %s", value, strings.Join(digestAlgs, ", "))
	}
	z.cfg.DigestAlg = digestAlgs[i]
	return nil
}

// setFourLetterWords takes a list; a word that is none is of no consequence.
func setFourLetterWords(z *zooCfg, value string) error {
	words := []string{}
	for word := range strings.SplitSeq(value, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		if _, known := admin.ParseWord(word); !known && word != "*" {
			z.warn(z.at("4lw.commands.whitelist"), "%q is not a four-letter word", word)
		}
		words = append(words, word)
	}
	z.cfg.FourLetterWords = words
	return nil
}

// refuseEnforcedAuth does not let a server start that would be open to those whom it is told to keep out.
func refuseEnforcedAuth(_ *zooCfg, value string) error {
	if strings.EqualFold(value, "false") {
		return nil
	}
	return errors.New("clients cannot be made to authenticate yet, so this server would be open to all: protect its port by other means, and remove this line")
}
