package quoll

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"quoll/zab"
)

// ConfigError is one fault of a configuration.
type ConfigError struct {
	File string // where the setting stands: a path, or "-D". Empty: a Config made by hand
	Line int    // in File, from 1; 0: no single line is at fault
	Key  string // the setting, by its name in File, or in zoo.cfg without one. Empty: no single one
	Text string // what is wrong with it and what to write instead
}

// Error returns the fault on one line.
func (e *ConfigError) Error() string {
	switch {
	case e.File == fromCommandLine:
		return fromCommandLine + e.Key + ": " + e.Text
	case e.Key == "":
		return place(e.File, e.Line) + e.Text
	default:
		return place(e.File, e.Line) + e.Key + ": " + e.Text
	}
}

// place returns the prefix that names a line of a file.
func place(file string, line int) string {
	switch {
	case file == "":
		return ""
	case line == 0:
		return file + ": "
	default:
		return file + ":" + strconv.Itoa(line) + ": "
	}
}

// Validate returns every fault of c, each a *ConfigError, joined; nil when there is none. Zero
// values are judged as the defaults that they stand for.
func (c *Config) Validate() error {
	var faults faultList
	d := *c
	d.setDefaults()
	d.checkDisk(&faults)
	d.checkClients(&faults)
	d.checkEnsemble(&faults)
	d.checkACL(&faults)
	return faults.err()
}

// faultList gathers faults that are not yet tied to a line.
type faultList []*ConfigError

func (f *faultList) add(key, format string, args ...any) {
	*f = append(*f, &ConfigError{Key: key, Text: fmt.Sprintf(format, args...)})
}

// atLeast adds a fault unless v is in [least, ...].
func (f *faultList) atLeast(key string, v, least int64) {
	if v < least {
		f.add(key, "%d is too small: at least %d", v, least)
	}
}

func (f *faultList) err() error {
	faults := make([]error, len(*f))
	for i, e := range *f {
		faults[i] = e
	}
	return errors.Join(faults...)
}

func (c *Config) checkDisk(f *faultList) {
	if c.DataDir == "" {
		f.add("dataDir", "is not set: name the directory for snapshots and logs")
	}
	if c.SnapCount != 0 {
		f.atLeast("snapCount", int64(c.SnapCount), 2)
	}
	f.atLeast("preAllocSize", c.PreAllocSize, 1)
	f.atLeast("autopurge.snapRetainCount", int64(c.SnapRetainCount), DefaultSnapRetainCount)
	f.atLeast("fsync.warningthresholdms", c.FsyncWarning.Milliseconds(), 1)
}

func (c *Config) checkClients(f *faultList) {
	if err := checkAddress(c.ClientAddress); err != nil {
		f.add("clientPort", "%v", err)
	}
	if c.TickTime < MinTickTime {
		f.add("tickTime", "%v is too short: at least %v", c.TickTime, MinTickTime)
	}
	if c.MinSessionTimeout < 0 {
		f.add("minSessionTimeout", "%v is negative", c.MinSessionTimeout)
	}
	if c.MinSessionTimeout > c.MaxSessionTimeout {
		f.add("minSessionTimeout", "%v is longer than maxSessionTimeout, %v",
			c.MinSessionTimeout, c.MaxSessionTimeout)
	}
	if c.MaxSessionTimeout.Milliseconds() > 1<<31-1 {
		f.add("maxSessionTimeout", "%v is too long: clients count it in 31 bits of milliseconds",
			c.MaxSessionTimeout)
	}
	f.atLeast("maxCnxns", int64(c.MaxCnxns), 0)
	f.atLeast("jute.maxbuffer", int64(c.MaxBuffer), 1)
	if c.MaxBuffer > maxMaxBuffer {
		f.add("jute.maxbuffer", "%d is too large: at most %d", c.MaxBuffer, maxMaxBuffer)
	}
	f.atLeast("znode.container.maxPerMinute", int64(c.ContainerMaxPerMinute), 1)
	f.atLeast("znode.container.maxNeverUsedIntervalMs", c.ContainerMaxNeverUsed.Milliseconds(), 0)
}

// maxMaxBuffer keeps a request, and the txn that it becomes, below the frame limit between servers.
const maxMaxBuffer = 64 << 20

func (c *Config) checkEnsemble(f *faultList) {
	f.atLeast("initLimit", int64(c.InitLimit), 1)
	f.atLeast("syncLimit", int64(c.SyncLimit), 1)
	if len(c.ClusterName) > maxClusterName || strings.ContainsFunc(c.ClusterName, isControl) {
		f.add("quoll.clusterName", "must have at most %d bytes and no control characters", maxClusterName)
	}
	if len(c.Servers) == 0 {
		if len(c.Groups) > 0 || len(c.Weights) > 0 {
			f.add("", "groups and weights need servers: add the server.N lines of the ensemble")
		}
		return
	}
	sound := len(*f)
	for i := range c.Servers {
		c.Servers[i].check(f)
	}
	c.checkDistinct(f)
	if _, ok := c.Self(); !ok {
		f.add("myid", "%d is the number of this server, but there is no server.%d line", c.MyID, c.MyID)
	}
	if len(*f) > sound {
		return // the membership would repeat the same faults
	}
	if _, err := c.Ensemble(); err != nil {
		for _, fault := range flatten(err) {
			f.add("", "%v", fault)
		}
	}
}

const maxClusterName = 255

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// flatten returns the parts of an error that errors.Join made, wrapped or not, and of its parts.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var parts []error
	for _, part := range joined.Unwrap() {
		parts = append(parts, flatten(part)...)
	}
	return parts
}

// maxServerID keeps session ids, which begin with the server's number, apart from the marks of
// znodes with a time to live. ZooKeeper has the same limit with extendedTypesEnabled.
const maxServerID zab.ServerID = 254

func (s ServerSpec) check(f *faultList) {
	key := "server." + strconv.Itoa(int(s.ID))
	if s.ID == 0 {
		f.add(key, "servers are numbered from 1")
	}
	if s.ID > maxServerID {
		f.add(key, "servers are numbered up to %d", maxServerID)
	}
	if s.Host == "" {
		f.add(key, "names no host")
	}
	checkPort(f, key, "quorum", s.LinkPort)
	checkPort(f, key, "election", s.ElectionPort)
	if s.LinkPort == s.ElectionPort {
		f.add(key, "quorum and election port are both %d: they must differ", s.LinkPort)
	}
	if s.ClientAddress != "" {
		if err := checkAddress(s.ClientAddress); err != nil {
			f.add(key, "%v", err)
		}
	}
}

func checkPort(f *faultList, key, name string, port int) {
	if port < 1 || port > 65535 {
		f.add(key, "%s port %d is out of range: 1..65535", name, port)
	}
}

// checkAddress judges a host:port to listen on.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("client address %q is not host:port", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("client address %q: the port is not a number in 0..65535", address)
	}
	return nil
}

// checkDistinct refuses two lines for one server and one address for two purposes.
func (c *Config) checkDistinct(f *faultList) {
	var ids zab.Set
	users := map[string]string{}
	claim := func(key, address, purpose string) {
		if other, taken := users[address]; taken {
			f.add(key, "%s is the %s and already %s", address, purpose, other)
			return
		}
		users[address] = "the " + purpose + " of " + key
	}
	for _, s := range c.Servers {
		key := "server." + strconv.Itoa(int(s.ID))
		if ids.Has(s.ID) {
			f.add(key, "is given twice")
			continue
		}
		ids.Add(s.ID)
		claim(key, s.LinkAddress(), "quorum address")
		if s.LinkPort != s.ElectionPort {
			claim(key, s.ElectionAddress(), "election address")
		}
	}
	c.checkOwnPorts(f)
}

// checkOwnPorts refuses a client port that is also a port between servers on the same address.
func (c *Config) checkOwnPorts(f *faultList) {
	self, ok := c.Self()
	host, port, err := net.SplitHostPort(c.ClientAddress)
	if !ok || err != nil {
		return
	}
	overlap := isWildcard(host) || c.ListenOnAllIPs || host == self.Host
	if overlap && slices.Contains([]string{strconv.Itoa(self.LinkPort), strconv.Itoa(self.ElectionPort)}, port) {
		f.add("clientPort", "%s is also a port of server.%d between servers: they must differ", port, self.ID)
	}
}

// isWildcard reports whether host stands for every address of the machine.
func isWildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || (ip != nil && ip.IsUnspecified())
}

// digestAlgs are the hashes of the digest scheme, by the names that Java knows.
var digestAlgs = []string{"SHA1", "SHA-256", "SHA-512"}

func (c *Config) checkACL(f *faultList) {
	if !slices.Contains(digestAlgs, c.DigestAlg) {
		f.add("DigestAuthenticationProvider.digestAlg", "%q is not known: write one of %s",
			c.DigestAlg, strings.Join(digestAlgs, ", "))
	}
	if c.SuperDigest == "" {
		return
	}
	if user, hash, ok := strings.Cut(c.SuperDigest, ":"); !ok || user == "" || hash == "" {
		f.add("DigestAuthenticationProvider.superDigest", "must read user:base64(digest of user:password)")
	}
}
