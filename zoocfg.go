package quoll

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"quoll/zab"
)

// Warning is something in a configuration that has no effect, or another one than its author may
// think. It is no reason not to start.
type Warning struct {
	File string // as in ConfigError
	Line int
	Key  string
	Text string
}

// String returns the warning on one line.
func (w Warning) String() string {
	e := ConfigError(w)
	return e.Error()
}

// fromCommandLine stands for the file of what was given as -Dname=value.
const fromCommandLine = "-D"

// ReadConfig reads the zoo.cfg at path as Apache ZooKeeper does, the files that it leads to (myid,
// the dynamicConfigFile) and the properties of the command line, each as "name=value" for what a
// JVM gets as -Dname=value.
//
// Which setting wins is as in ZooKeeper. A zoo.cfg key that ZooKeeper reads itself (dataDir,
// clientPort, tickTime, ...) cannot be given as a property. Any other key K is the property
// zookeeper.K, and a line of zoo.cfg overrides the command line. jute.maxbuffer,
// readonlymode.enabled and znode.container.* are properties that ZooKeeper takes from the command
// line only; here zoo.cfg may give them too, and the command line wins.
//
// A key that is unknown, or that asks for something Quoll does not have, is a Warning that names
// it. A value that cannot be meant is an error: all of them are returned, joined, each a
// *ConfigError with its file and line. The Config is then not to be used. ReadConfig leaves FS,
// Network and Logger nil.
func ReadConfig(path string, defines []string) (Config, []Warning, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, nil, fmt.Errorf("configuration: %w", err)
	}
	return readConfig(path, text, defines, os.ReadFile)
}

// readConfig is ReadConfig with the disk as an argument.
func readConfig(path string, text []byte, defines []string,
	readFile func(string) ([]byte, error),
) (Config, []Warning, error) {
	z := zooCfg{
		path:       path,
		readFile:   readFile,
		settings:   map[string]setting{},
		standalone: true,
		servers:    map[zab.ServerID]ServerSpec{},
	}
	z.addFile(path, text)
	z.addDefines(defines)
	z.addDynamic()
	for _, name := range z.order {
		z.apply(z.settings[name])
	}
	for _, check := range []func(){z.settle, z.validate} {
		if len(z.faults) == 0 { // or each fault would entail others
			check()
		}
	}
	slices.SortStableFunc(z.warnings, func(a, b Warning) int { return cmp.Compare(a.Line, b.Line) })
	if err := errors.Join(z.faults...); err != nil {
		return Config{}, z.warnings, err
	}
	return z.cfg, z.warnings, nil
}

// setting is one key with the value that won and where it stands.
type setting struct {
	name, value string // name as in zoo.cfg
	given       string // name as written: a property of the command line may have a prefix
	file        string
	line        int
}

// zooCfg gathers a configuration. Settings are found first, then applied, then those that depend
// on each other are settled.
type zooCfg struct {
	path     string
	readFile func(string) ([]byte, error)

	settings map[string]setting // by the name of the key in zoo.cfg
	order    []string           // of settings, as found

	cfg      Config
	faults   []error
	warnings []Warning

	clientHost  string // clientPortAddress
	clientPort  int
	hasPort     bool // clientPort is given and not 0
	hasSecure   bool // secureClientPort is given
	standalone  bool // standaloneEnabled
	observer    bool // peerType
	hasPeerType bool
	servers     map[zab.ServerID]ServerSpec
}

func (z *zooCfg) fail(s setting, format string, args ...any) {
	z.faults = append(z.faults, &ConfigError{s.file, s.line, s.given, fmt.Sprintf(format, args...)})
}

func (z *zooCfg) warn(s setting, format string, args ...any) {
	z.warnings = append(z.warnings, Warning{s.file, s.line, s.given, fmt.Sprintf(format, args...)})
}

// at returns the setting of a key; without one, a place that names the file alone.
func (z *zooCfg) at(name string) setting {
	if s, ok := z.settings[name]; ok {
		return s
	}
	return setting{name: name, given: name, file: z.path}
}

// put makes s the setting of its key.
func (z *zooCfg) put(s setting) {
	if _, again := z.settings[s.name]; !again {
		z.order = append(z.order, s.name)
	}
	z.settings[s.name] = s
}

// addFile takes the lines of zoo.cfg. Of two lines with one key the later one counts.
func (z *zooCfg) addFile(path string, text []byte) {
	for _, s := range z.parse(path, text) {
		if old, again := z.settings[s.name]; again && old.value != s.value {
			z.warn(s, "is set twice: this line counts, line %d does not", old.line)
		}
		z.put(s)
	}
}

// parse returns the settings of a file and keeps the faults.
func (z *zooCfg) parse(path string, text []byte) []setting {
	properties, faults := parseProperties(text)
	for _, fault := range faults {
		fault.File = path
		z.faults = append(z.faults, fault)
	}
	settings := make([]setting, 0, len(properties))
	for _, p := range properties {
		settings = append(settings, setting{p.key, p.value, p.key, path, p.line})
	}
	return settings
}

// addDefines takes the properties of the command line that a zoo.cfg key stands for.
func (z *zooCfg) addDefines(defines []string) {
	for _, define := range defines {
		name, value, _ := strings.Cut(define, "=")
		name = strings.TrimSpace(name)
		s := setting{name: name, given: name, value: strings.TrimSpace(value), file: fromCommandLine}
		key, isOurs := strings.CutPrefix(s.name, "zookeeper.")
		switch rule := keyRules[s.name]; {
		case rule.jvm:
			if old, both := z.settings[s.name]; both && old.value != s.value {
				z.warn(old, "is overridden by -D%s on the command line", s.name)
			}
			z.put(s)
		case !isOurs && isJVMProperty(s.name):
			z.ignoreJVM(s)
		case isOurs && isLoggingKey(key): // of the JVM's logging; every start script passes some
		case !isOurs:
			z.warn(s, "is not a property that ZooKeeper or Quoll knows: ignored")
		default:
			z.define(key, s)
		}
	}
}

// define takes the property zookeeper.key.
func (z *zooCfg) define(key string, s setting) {
	rule := keyRules[key]
	if rule.direct || rule.jvm || isServerKey(key) {
		z.warn(s, "is ignored, as by ZooKeeper: %s", directHint(key, rule))
		return
	}
	if old, both := z.settings[key]; both {
		if old.value != s.value && old.file != fromCommandLine {
			z.warn(s, "is overridden by the line %d of %s", old.line, old.file)
		}
		if old.file != fromCommandLine {
			return
		}
	}
	s.name = key
	z.put(s)
}

func directHint(key string, rule keyRule) string {
	if rule.jvm {
		return "the property is " + key
	}
	return "write " + key + " in zoo.cfg"
}

// addDynamic takes the server, group and weight lines of the dynamicConfigFile.
func (z *zooCfg) addDynamic() {
	at, ok := z.settings["dynamicConfigFile"]
	if !ok {
		return
	}
	for _, name := range z.order {
		if s := z.settings[name]; isServerKey(name) {
			z.fail(s, "must not be in zoo.cfg when line %d names a dynamicConfigFile", at.line)
		}
	}
	text, err := z.readFile(at.value)
	if err != nil {
		z.fail(at, "%v", err)
		return
	}
	for _, s := range z.parse(at.value, text) {
		switch {
		case s.name == "version":
			z.fail(s, "the version is the end of the file's name, never a line in it")
		case !isServerKey(s.name):
			z.fail(s, "only server, group and weight lines may be in a dynamicConfigFile")
		default:
			z.put(s)
		}
	}
}

// apply carries out one setting.
func (z *zooCfg) apply(s setting) {
	if isServerKey(s.name) {
		z.applyServerKey(s)
		return
	}
	if rule, ok := keyRules[s.name]; ok {
		if err := rule.set(z, s.value); err != nil {
			z.fail(s, "%v", err)
		}
		return
	}
	if rule, ok := ignoredRule(s.name); ok {
		if !strings.EqualFold(s.value, rule.inert) {
			z.warn(s, "%s", rule.text)
		}
		return
	}
	if key, ok := strings.CutPrefix(s.name, "zookeeper."); ok {
		z.warn(s, "is ignored, as by ZooKeeper, which puts the prefix itself: write %s", key)
		return
	}
	for name := range keyRules {
		if strings.EqualFold(name, s.name) {
			z.warn(s, "is not a key of zoo.cfg: ignored; did you mean %s?", name)
			return
		}
	}
	z.warn(s, "is not a key of zoo.cfg: ignored")
}

// settle decides what depends on several settings.
func (z *zooCfg) settle() {
	z.settleEnsemble()
	z.settleClients()
}

// settleClients decides where clients connect: at the client part of this server's line or at
// clientPort, which must agree when both are given.
func (z *zooCfg) settleClients() {
	cfg := &z.cfg
	if z.clientHost != "" && !z.hasPort {
		z.fail(z.at("clientPortAddress"), "needs a clientPort")
		return
	}
	if z.hasPort {
		cfg.ClientAddress = joinHostPort(z.clientHost, z.clientPort)
	}
	spec := z.ownSpec().ClientAddress
	if spec != "" {
		host, port, err := net.SplitHostPort(spec)
		switch {
		case err != nil: // Validate says so
		case z.hasPort && strconv.Itoa(z.clientPort) != port,
			z.hasPort && !isWildcard(z.clientHost) && z.clientHost != host:
			z.fail(z.at("clientPort"), "%s differs from %s in server.%d: leave one of them out",
				cfg.ClientAddress, spec, z.ownSpec().ID)
		}
		cfg.ClientAddress = spec
	}
	if cfg.ClientAddress != "" {
		return
	}
	text := "is not set, so no client could connect: write clientPort=2181"
	if z.hasSecure {
		text = "is not set, and TLS is not built, so no client could connect: write clientPort=2181"
	}
	z.fail(z.at("clientPort"), "%s", text)
}

// validate checks what Validate checks and ties each fault to the line of its key.
func (z *zooCfg) validate() {
	err := z.cfg.Validate()
	if err == nil {
		return
	}
	for _, fault := range flatten(err) {
		e, ok := errors.AsType[*ConfigError](fault)
		if !ok {
			panic("quoll: Validate returned " + fault.Error())
		}
		name := e.Key
		if name == "" { // a fault of the membership starts with the line that it is about
			name, _, _ = strings.Cut(e.Text, " ")
			name, _, _ = strings.Cut(strings.TrimSuffix(name, ":"), "=")
		}
		switch s, ok := z.settings[name]; {
		case ok && e.Key == "":
			e.File, e.Line = s.file, s.line
		case ok:
			e.File, e.Line, e.Key = s.file, s.line, s.given
		case name == "myid":
			e.File, e.Line, e.Key = filepath.Join(z.cfg.DataDir, "myid"), 1, ""
		default:
			e.File = z.path
		}
		z.faults = append(z.faults, e)
	}
}
