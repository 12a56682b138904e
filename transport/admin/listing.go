package admin

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// conf prints the configuration; for a member of an ensemble also its part in it.
func (a *answer) conf() {
	c := &a.status.Config
	a.pair("clientPort", "=", int64(c.ClientPort))
	a.pair("secureClientPort", "=", -1)
	a.text("dataDir=", c.DataDir, "\n")
	a.pair("dataDirSize", "=", a.status.DataDirSize)
	a.text("dataLogDir=", c.DataLogDir, "\n")
	a.pair("dataLogSize", "=", a.status.LogDirSize)
	a.pair("tickTime", "=", c.TickTime.Milliseconds())
	a.pair("maxClientCnxns", "=", int64(c.MaxClientCnxns))
	a.pair("minSessionTimeout", "=", c.MinSessionTimeout.Milliseconds())
	a.pair("maxSessionTimeout", "=", c.MaxSessionTimeout.Milliseconds())
	a.pair("clientPortListenBacklog", "=", -1)
	a.pair("serverId", "=", int64(c.ServerID))
	if a.status.Quorum == nil {
		return
	}
	peerType := int64(0)
	if c.Observer {
		peerType = 1
	}
	a.pair("initLimit", "=", int64(c.InitLimit))
	a.pair("syncLimit", "=", int64(c.SyncLimit))
	a.pair("electionAlg", "=", 3)
	a.pair("electionPort", "=", int64(c.ElectionPort))
	a.pair("quorumPort", "=", int64(c.QuorumPort))
	a.pair("peerType", "=", peerType)
	a.text("membership: \n", c.Membership)
}

// envi must stay below 8 KiB: kazoo reads it with one recv.
func (a *answer) envi() {
	a.text("Environment:\nzookeeper.version=", a.words.version, "\n")
	for _, p := range a.words.host() {
		a.text(p.Name, "=", p.Value, "\n")
	}
}

func (a *answer) wchs() {
	watches := a.words.source.Watches()
	paths, sessions := map[string]struct{}{}, map[uint64]struct{}{}
	for _, w := range watches {
		paths[w.Path] = struct{}{}
		sessions[w.Session] = struct{}{}
	}
	a.int(int64(len(sessions)))
	a.text(" connections watching ")
	a.int(int64(len(paths)))
	a.text(" paths\nTotal watches:")
	a.int(int64(len(watches)))
	a.text("\n")
}

// wchp lists the sessions of each path, wchc the paths of each session.
func (a *answer) wchp() {
	last := ""
	for i, w := range a.words.source.Watches() {
		if i == 0 || w.Path != last {
			a.text(w.Path, "\n")
			last = w.Path
		}
		a.text("\t")
		a.hex(w.Session)
		a.text("\n")
	}
	a.text("\n")
}

func (a *answer) wchc() {
	watches := a.words.source.Watches()
	slices.SortStableFunc(watches, func(v, w Watch) int { return cmp.Compare(v.Session, w.Session) })
	for i, w := range watches {
		if i == 0 || w.Session != watches[i-1].Session {
			a.hex(w.Session)
			a.text("\n")
		}
		a.text("\t", w.Path, "\n")
	}
	a.text("\n")
}

// dump prints sessions, their ephemerals, and connections. A server that does not expire sessions
// knows their timeouts only.
func (a *answer) dump() {
	sessions := a.words.source.Sessions()
	a.text("SessionTracker dump:\n")
	if slices.ContainsFunc(sessions, func(s Session) bool { return !s.Expires.IsZero() }) ||
		a.status.Mode == ModeLeader || a.status.Mode == ModeStandalone {
		a.text("Session ")
		a.buckets(len(sessions), func(add func(time.Time, string)) {
			for _, s := range sessions {
				add(s.Expires, "0x"+strconv.FormatUint(s.ID, 16))
			}
		})
	} else {
		a.text("Global Sessions(", strconv.Itoa(len(sessions)), "):\n")
		for _, s := range sessions {
			a.hex(s.ID)
			a.text("\t", strconv.FormatInt(s.Timeout.Milliseconds(), 10), "ms\n")
		}
	}
	a.ephemerals(sessions)
	a.text("Connections dump:\nConnections ")
	connections := a.words.source.Connections()
	a.buckets(len(connections), func(add func(time.Time, string)) {
		for _, c := range connections {
			last := c.LastResponse
			if last.IsZero() {
				last = c.Established
			}
			add(last.Add(c.Timeout), "ip: /"+c.Remote.String()+" sessionId: 0x"+strconv.FormatUint(c.Session, 16))
		}
	})
}

func (a *answer) ephemerals(sessions []Session) {
	owners := slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return len(s.Ephemerals) == 0 })
	a.text("ephemeral nodes dump:\nSessions with Ephemerals (", strconv.Itoa(len(owners)), "):\n")
	for _, s := range owners {
		a.hex(s.ID)
		a.text(":\n")
		for _, path := range s.Ephemerals {
			a.text("\t", path, "\n")
		}
	}
}

// buckets prints ZooKeeper's dump of an expiry queue: elements by the second at which they
// expire, "Sets (buckets)/(elements):" in front.
func (a *answer) buckets(n int, each func(add func(expires time.Time, element string))) {
	elements := map[int64][]string{}
	each(func(expires time.Time, element string) {
		second := expires.Unix()
		elements[second] = append(elements[second], element)
	})
	seconds := make([]int64, 0, len(elements))
	for s := range elements {
		seconds = append(seconds, s)
	}
	slices.Sort(seconds)
	a.text("Sets (", strconv.Itoa(len(seconds)), ")/(", strconv.Itoa(n), "):\n")
	for _, s := range seconds {
		a.int(int64(len(elements[s])))
		a.text(" expire at ", time.Unix(s, 0).UTC().Format(javaDate), ":\n")
		for _, e := range elements[s] {
			a.text("\t", e, "\n")
		}
	}
}
