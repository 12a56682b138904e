// Package defects holds what proves that the harness can fail: servers with a deliberate bug, each a mutant of
// jepsen/mutants or a wrong configuration, with the workload and the faults under which clients notice.
// Beside them stand honest runs that must pass.
//
// A defect is data. The runner (jepsen/defects/run, `make defects`) builds each server with the
// changed files as an overlay of the compiler, and has package campaign test it.
package defects

import "quoll/jepsen/mutants"

// Defect is a server that breaks a promise, or, where Honest, one that keeps them all.
type Defect struct {
	Name     string
	What     string
	Mutant   string         // of jepsen/mutants; empty: none
	Edits    []mutants.Edit // beside those of the mutant
	Config   []string       // lines for zoo.cfg
	Workload string
	Nemesis  []string
	Rate     float64
	Strict   bool // plain reads are judged as if they were linearizable
	Honest   bool
}

// lazyDisk keeps what was written and not synced in the memory of the process, so that killing it is what
// a loss of power is to a machine.
var lazyDisk = []mutants.Edit{{
	File: "log/vfs/os.go",
	Old: `// osFile adds to os.File what differs between systems.
type osFile struct{ *os.File }
`,
	New: `// osFile adds to os.File what differs between systems.
type osFile struct{ *os.File }

type span struct {
	at int64
	b  []byte
}

var lazy = struct {
	sync.Mutex
	spans map[string][]span
}{spans: map[string][]span{}}

func (f osFile) WriteAt(b []byte, at int64) (int, error) {
	lazy.Lock()
	defer lazy.Unlock()
	lazy.spans[f.Name()] = append(lazy.spans[f.Name()], span{at, append([]byte(nil), b...)})
	return len(b), nil
}

func (f osFile) flush() error {
	lazy.Lock()
	defer lazy.Unlock()
	for _, s := range lazy.spans[f.Name()] {
		if _, err := f.File.WriteAt(s.b, s.at); err != nil {
			return err
		}
	}
	delete(lazy.spans, f.Name())
	return nil
}

func (f osFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(b, at)
	lazy.Lock()
	defer lazy.Unlock()
	for _, s := range lazy.spans[f.Name()] {
		from, to := max(s.at, at), min(s.at+int64(len(s.b)), at+int64(len(b)))
		if from < to {
			clear(b[n:max(n, int(from-at))])
			copy(b[from-at:to-at], s.b[from-s.at:to-s.at])
			n = max(n, int(to-at))
		}
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

func (f osFile) Truncate(size int64) error { return errors.Join(f.flush(), f.File.Truncate(size)) }
`,
}, {
	File: "log/vfs/os.go",
	Old:  `	info, err := f.Stat()`,
	New: `	lazy.Lock()
	end := int64(0)
	for _, s := range lazy.spans[f.Name()] {
		end = max(end, s.at+int64(len(s.b)))
	}
	lazy.Unlock()
	info, err := f.Stat()
	if err == nil && info.Size() < end {
		return end, nil
	}`,
}, {
	File: "log/vfs/os.go",
	Old:  `func (f osFile) Sync() error { return dataSync(f.File) }`,
	New: `func (f osFile) Sync() error {
	time.Sleep(20 * time.Millisecond) // as a disk that turns does: what is not durable yet is not so for long enough to be hit
	return errors.Join(f.flush(), dataSync(f.File))
}`,
}, {
	File: "log/vfs/os.go",
	Old: `	"path/filepath"
)`,
	New: `	"path/filepath"
	"sync"
	"time"
)`,
}}

// All returns the defects, and the honest servers behind them.
func All() []Defect { return append(append([]Defect(nil), broken...), honest...) }

var broken = []Defect{
	{
		Name: "stale-reads", What: "nothing: plain reads are taken for linearizable, which they are not",
		Workload: "registers", Nemesis: []string{"pause", "slow-net"}, Strict: true,
	},
	{
		Name: "no-fsync", What: "forceSync=no, and every kill is a loss of power", Edits: lazyDisk, Config: []string{"forceSync=no"},
		Workload: "set", Nemesis: []string{"kill-all"},
	},
	{
		Name: "no-versions", What: "setData does not look at the version", Edits: []mutants.Edit{{
			File: "tree/prep.go",
			Old: `	if !versionMatches(q.Version, n.version) {
		return wire.BadVersion
	}
	if !p.tree.arena.Room() {`,
			New: `	if !p.tree.arena.Room() {`,
		}}, Workload: "counter",
	},
	{
		Name: "ephemerals-stay", What: "closing a session forgets its first ephemeral", Edits: []mutants.Edit{{
			File: "tree/prep.go",
			Old:  `	paths := p.ephemeralsOf(id, s)`,
			New: `	paths := p.ephemeralsOf(id, s)
	if len(paths) > 0 {
		paths = paths[1:]
	}`,
		}}, Workload: "ephemeral", Nemesis: []string{"clients"},
	},
	{Name: "M1", Mutant: "M1", Edits: lazyDisk, Workload: "set", Nemesis: []string{"kill-all"}},
	{Name: "M4", Mutant: "M4", Workload: "registers", Nemesis: []string{"isolate-leader", "pause-leader"}},
	{Name: "M9", Mutant: "M9", Workload: "append", Nemesis: []string{"kill-leader", "isolate-leader"}},
	{Name: "M11", Mutant: "M11", Workload: "ephemeral", Nemesis: []string{"pause", "clients"}},
	{Name: "M12a", Mutant: "M12a", Workload: "watch", Nemesis: nil},
	{Name: "M12b", Mutant: "M12b", Workload: "watch", Nemesis: nil},
	{Name: "M13a", Mutant: "M13a", Workload: "registers", Nemesis: []string{"slow-net", "pause"}},
	{Name: "M30", Mutant: "M30", Workload: "mixed", Nemesis: []string{"kill"}},
	{Name: "M34", Mutant: "M34", Workload: "register", Nemesis: nil},
	{Name: "M36", Mutant: "M36", Workload: "ephemeral", Nemesis: []string{"kill-leader", "pause-leader"}},
	{Name: "M23", Mutant: "M23", Workload: "registers", Nemesis: []string{"isolate-leader"}},
	{Name: "M17b", Mutant: "M17b", Workload: "mixed", Nemesis: []string{"isolate-leader", "pause-leader"}},
}

var honest = []Defect{
	{Name: "honest", What: "nothing", Workload: "registers", Nemesis: []string{"kill", "isolate-leader", "pause"}, Honest: true},
	{
		Name: "honest-power", What: "nothing: every kill is a loss of power, and fsync is on", Edits: lazyDisk,
		Workload: "set", Nemesis: []string{"kill-all", "kill"}, Honest: true,
	},
}
