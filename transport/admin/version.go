package admin

import (
	"runtime/debug"
	"strings"
	"time"
)

// ProtocolVersion is the release of Apache ZooKeeper as which Quoll introduces itself: clients
// and scripts switch features by it.
const ProtocolVersion = "3.9.5"

// Version is what srvr, stat, mntr and envi say.
type Version struct {
	Number string    // X.Y.Z
	Commit string    // letters, digits, dots and dashes
	Built  time.Time // printed in UTC
}

// String prints the version in the one form that all known parsers take: go-zookeeper before
// v1.0.4 wants this order of the date, and no character in the commit but those allowed here.
func (v Version) String() string {
	commit := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		default:
			return -1
		}
	}, v.Commit)
	if commit == "" {
		commit = "unknown"
	}
	return v.Number + "-" + commit + ", built on " + v.Built.UTC().Format("01/02/2006 15:04") + " UTC"
}

// CurrentVersion describes the running program by the commit that Go stamps into it.
func CurrentVersion() Version {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
}

// versionOf reads the stamp; without one, as in a test, the commit is that of nobody.
func versionOf(info *debug.BuildInfo) Version {
	v := Version{Number: ProtocolVersion, Commit: "quoll", Built: time.Unix(0, 0)}
	if info == nil {
		return v
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = "quoll-" + s.Value
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				v.Built = t
			}
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		v.Commit += "-modified"
	}
	return v
}
