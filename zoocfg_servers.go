package quoll

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"quoll/zab"
)

// isServerKey reports whether a key belongs to the membership.
func isServerKey(name string) bool {
	return strings.HasPrefix(name, "server.") || strings.HasPrefix(name, "group.") ||
		strings.HasPrefix(name, "weight.")
}

// applyServerKey takes a server, group or weight line.
func (z *zooCfg) applyServerKey(s setting) {
	kind, number, _ := strings.Cut(s.name, ".")
	var err error
	switch kind {
	case "server":
		err = z.applyServer(s, number)
	case "group":
		err = z.applyGroup(s.value, number)
	case "weight":
		err = z.applyWeight(s.value, number)
	}
	if err != nil {
		z.fail(s, "%v", err)
	}
}

// parseServerID reads a decimal number in 1..254.
func parseServerID(text string) (zab.ServerID, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 8)
	if err != nil || n == 0 || zab.ServerID(n) > maxServerID {
		return 0, fmt.Errorf("%q is not the number of a server: 1..254", text)
	}
	return zab.ServerID(n), nil
}

func (z *zooCfg) applyServer(s setting, number string) error {
	id, err := parseServerID(number)
	if err != nil {
		return err
	}
	if _, again := z.servers[id]; again {
		return fmt.Errorf("server %d has another line", id)
	}
	spec, notes, err := parseServerSpec(s.value)
	if err != nil {
		return err
	}
	for _, note := range notes {
		z.warn(s, "%s", note)
	}
	spec.ID = id
	z.servers[id] = spec
	return nil
}

func (z *zooCfg) applyGroup(value, number string) error {
	group, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not the number of a group", number)
	}
	var members []zab.ServerID
	for part := range strings.SplitSeq(value, ":") {
		id, err := parseServerID(part)
		if err != nil {
			return fmt.Errorf("%w; write group.%s=1:2:3", err, number)
		}
		members = append(members, id)
	}
	if z.cfg.Groups == nil {
		z.cfg.Groups = map[int][]zab.ServerID{}
	}
	z.cfg.Groups[int(group)] = append(z.cfg.Groups[int(group)], members...)
	return nil
}

func (z *zooCfg) applyWeight(value, number string) error {
	id, err := parseServerID(number)
	if err != nil {
		return err
	}
	weight, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return fmt.Errorf("%q is not a weight: write a number from 0 up", value)
	}
	if z.cfg.Weights == nil {
		z.cfg.Weights = map[zab.ServerID]int{}
	}
	z.cfg.Weights[id] = int(weight)
	return nil
}

// specForm is the grammar of a server line as an operator would look it up.
const specForm = "host:quorumPort:electionPort[:participant|:observer][;[clientHost:]clientPort]"

// parseServerSpec reads the value of a server line:
//
//	address ["|" address]... [";" [[host ":"] port] [";" [host ":"] port]]
//	address = host ":" port ":" port [":" ("participant" | "observer")]
//
// An IPv6 address stands in brackets. The first part behind a semicolon is for clients, the second
// for clients with TLS. Of several addresses the first is used: one connection per pair of
// servers, redialed, is all there is. The notes say what is not used.
func parseServerSpec(value string) (spec ServerSpec, notes []string, err error) {
	parts := strings.Split(value, ";")
	if len(parts) > 3 {
		return spec, nil, fmt.Errorf("%q has too many semicolons: write %s", value, specForm)
	}
	addresses := strings.Split(parts[0], "|")
	if spec, err = parseServerAddress(addresses[0]); err != nil {
		return spec, nil, err
	}
	for _, text := range addresses[1:] {
		var other ServerSpec
		if other, err = parseServerAddress(text); err != nil {
			return spec, nil, err
		}
		if other.Observer != spec.Observer {
			return spec, nil, errors.New("the addresses of one server have different roles")
		}
	}
	if len(addresses) > 1 {
		notes = append(notes, "several addresses for one server are not built: only "+
			spec.LinkAddress()+" is used")
	}
	if len(parts) > 1 && (strings.TrimSpace(parts[1]) != "" || len(parts) == 2) {
		spec.ClientAddress, err = parseClientPart(parts[1])
		if err != nil {
			return spec, nil, err
		}
	}
	if len(parts) > 2 {
		if _, err := parseClientPart(parts[2]); err != nil {
			return spec, nil, err
		}
		notes = append(notes, "TLS is not built: the secure client port stays closed")
	}
	return spec, notes, nil
}

func parseServerAddress(text string) (ServerSpec, error) {
	host, fields, err := splitAddress(text)
	if err != nil {
		return ServerSpec{}, err
	}
	if host == "" || len(fields) < 2 || len(fields) > 3 {
		return ServerSpec{}, fmt.Errorf("%q is not %s", text, specForm)
	}
	spec := ServerSpec{Host: host}
	if spec.LinkPort, err = parsePort(fields[0]); err != nil {
		return ServerSpec{}, err
	}
	if spec.ElectionPort, err = parsePort(fields[1]); err != nil {
		return ServerSpec{}, err
	}
	if len(fields) == 3 {
		spec.Observer, err = parseRole(fields[2])
	}
	return spec, err
}

// parseClientPart reads [host:]port. Without a host it is every address, which
// /zookeeper/config shows as 0.0.0.0.
func parseClientPart(text string) (string, error) {
	host, port := "0.0.0.0", strings.TrimSpace(text)
	if strings.Contains(port, ":") {
		var fields []string
		var err error
		if host, fields, err = splitAddress(port); err != nil {
			return "", err
		}
		if host == "" || len(fields) != 1 {
			return "", fmt.Errorf("client address %q is not [host:]port", text)
		}
		port = fields[0]
	}
	n, err := parsePort(port)
	if err != nil {
		return "", err
	}
	return joinHostPort(host, n), nil
}

// splitAddress cuts host:field:field... at its colons, those in the brackets of an IPv6 address
// excepted, and takes the brackets away.
func splitAddress(text string) (host string, fields []string, err error) {
	text = strings.TrimSpace(text)
	rest := text
	if strings.HasPrefix(text, "[") {
		end := strings.IndexByte(text, ']')
		if end < 0 || !strings.HasPrefix(text[end+1:], ":") {
			return "", nil, fmt.Errorf("%q: an IPv6 address reads [address]:port", text)
		}
		host, rest = text[1:end], text[end+1:]
	} else {
		host, rest, _ = strings.Cut(text, ":")
		rest = ":" + rest
	}
	if strings.ContainsAny(host, "[]% \t/,=") {
		return "", nil, fmt.Errorf("%q names no host", text)
	}
	fields = strings.Split(rest[1:], ":")
	if len(fields) > 3 {
		return "", nil, fmt.Errorf("%q has too many colons: write %s, an IPv6 address in []", text, specForm)
	}
	return host, fields, nil
}

func parsePort(text string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port: 1..65535", text)
	}
	return int(n), nil
}

// parseRole reports whether the role is that of an observer.
func parseRole(text string) (observer bool, err error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "participant":
		return false, nil
	case "observer":
		return true, nil
	default:
		return false, fmt.Errorf("%q is not a role: participant or observer", text)
	}
}

// settleEnsemble decides between standalone and replicated and finds out which server this is.
func (z *zooCfg) settleEnsemble() {
	cfg := &z.cfg
	voters := 0
	for _, id := range slices.Sorted(maps.Keys(z.servers)) {
		cfg.Servers = append(cfg.Servers, z.servers[id])
		if !z.servers[id].Observer {
			voters++
		}
	}
	switch {
	case len(z.servers) == 0 && !z.standalone:
		z.fail(z.at("standaloneEnabled"), "false needs server lines: at least server.1")
	case len(z.servers) == 0:
		z.readStandaloneID()
	case voters <= 1 && z.standalone && len(z.servers) > voters:
		z.fail(z.at("standaloneEnabled"), "observers need an ensemble: with fewer than two participants "+
			"write standaloneEnabled=false, and at least one participant")
	case voters == 1 && z.standalone:
		z.warn(z.serverLine(cfg.Servers[0].ID), "one server only: it stands alone and this line is not used")
		z.readStandaloneID()
	default:
		z.readMyID()
		z.adviseEnsemble(voters)
	}
}

// serverLine returns the line of a server.
func (z *zooCfg) serverLine(id zab.ServerID) setting {
	return z.at("server." + strconv.Itoa(int(id)))
}

// ownSpec returns the line of this server; of a server that stands alone, the only line, which is
// no longer in the Config.
func (z *zooCfg) ownSpec() ServerSpec {
	if len(z.cfg.Servers) == 0 {
		for _, spec := range z.servers {
			return spec
		}
	}
	return z.servers[z.cfg.MyID]
}

// readStandaloneID makes the server stand alone. Its number is then of no importance, but it is
// kept when there is one, so that the server may join an ensemble later.
func (z *zooCfg) readStandaloneID() {
	for _, spec := range z.cfg.Servers {
		z.cfg.MyID = spec.ID
	}
	z.cfg.Servers, z.cfg.Groups, z.cfg.Weights = nil, nil, nil
	if z.cfg.DataDir == "" {
		return
	}
	text, err := z.readFile(filepath.Join(z.cfg.DataDir, "myid"))
	if err != nil {
		return
	}
	if id, err := parseMyID(text); err == nil {
		z.cfg.MyID = id
	}
}

// readMyID reads the number of this server, which every member of an ensemble needs.
func (z *zooCfg) readMyID() {
	if z.cfg.DataDir == "" {
		return // Validate says so
	}
	path := filepath.Join(z.cfg.DataDir, "myid")
	text, err := z.readFile(path)
	if err != nil {
		z.fail(setting{file: path}, "cannot be read: a server of an ensemble needs a file with its number, "+
			"the N of its server.N line, alone on the first line: %v", err)
		return
	}
	id, err := parseMyID(text)
	if err != nil {
		z.fail(setting{file: path, line: 1}, "%v", err)
		return
	}
	z.cfg.MyID = id
}

// parseMyID reads the first line of the file myid.
func parseMyID(text []byte) (zab.ServerID, error) {
	line, _, _ := strings.Cut(string(text), "\n")
	return parseServerID(strings.TrimSpace(line))
}

// adviseEnsemble warns of memberships that work but are probably not meant.
func (z *zooCfg) adviseEnsemble(voters int) {
	if spec, ok := z.servers[z.cfg.MyID]; ok && z.hasPeerType && spec.Observer != z.observer {
		z.warn(z.at("peerType"), "differs from the role in server.%d: that line counts", spec.ID)
	}
	for _, name := range []string{"initLimit", "syncLimit"} {
		if _, given := z.settings[name]; !given {
			limit := map[string]int{"initLimit": DefaultInitLimit, "syncLimit": DefaultSyncLimit}[name]
			z.warn(setting{name: name, given: name, file: z.path}, "is not set: %d ticks are used", limit)
		}
	}
	switch {
	case len(z.cfg.Groups) > 0:
	case voters <= 2:
		z.warn(setting{file: z.path}, "no failure of a server is survived: that takes three participants")
	case voters%2 == 0:
		z.warn(setting{file: z.path}, "%d participants survive no more failures than %d", voters, voters-1)
	}
}
