package nemesis

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"quoll/jepsen/network"
)

// kind is a sort of fault. begin does it and returns what undoes it.
type kind struct {
	name, what string
	heavy      bool // takes knowledge from a server: see the budget
	begin      func(a *attack) (undo func() error, err error)
	needs      func(n *Nemesis) string // why it cannot be done; nil: it always can
}

// Kind describes one for people.
type Kind struct{ Name, What string }

// Kinds returns all there are.
func Kinds() (all []Kind) {
	for i := range kinds {
		all = append(all, Kind{kinds[i].name, kinds[i].what})
	}
	return all
}

// Names returns the names of all.
func Names() (all []string) {
	for i := range kinds {
		all = append(all, kinds[i].name)
	}
	return all
}

// Available returns the names of those that can be done to a target under opts, and why the others
// cannot.
func Available(target Target, opts Options) (names []string, missing []UnavailableError) {
	n := &Nemesis{Options: opts, target: target}
	for i := range kinds {
		if why := kinds[i].unavailable(n); why != "" {
			missing = append(missing, UnavailableError{kinds[i].name, why})
		} else {
			names = append(names, kinds[i].name)
		}
	}
	return names, missing
}

func find(name string) *kind {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &kinds[i]
}

func (k *kind) unavailable(n *Nemesis) string {
	if k.needs == nil {
		return ""
	}
	return k.needs(n)
}

var kinds = []kind{
	{name: "kill", what: "a process ends at once, and is started again", begin: func(a *attack) (func() error, error) {
		return a.kill(a.any())
	}},
	{name: "kill-leader", what: "the leader's process ends at once", begin: func(a *attack) (func() error, error) {
		return a.kill(a.leader())
	}},
	{name: "kill-all", what: "all processes end at once", begin: killAll},
	{name: "rolling", what: "all are asked to end and started again, one after another", begin: rolling},
	{name: "pause", what: "a process stands still (SIGSTOP) and goes on", begin: func(a *attack) (func() error, error) {
		return a.pause(a.any())
	}},
	{name: "pause-leader", what: "the leader stands still and goes on", begin: func(a *attack) (func() error, error) {
		return a.pause(a.leader())
	}},
	{name: "halves", what: "the servers fall into two parts", needs: networked, begin: halves},
	{name: "ring", what: "each server hears a majority, no two the same", needs: networked, begin: ring},
	{name: "bridge", what: "two parts have one server in common", needs: networked, begin: bridge},
	{name: "isolate-leader", what: "the leader and the other servers hear nothing of each other", needs: networked, begin: isolate},
	{name: "one-way", what: "a server is heard and hears nothing, or the reverse", needs: networked, begin: oneWay},
	{name: "clients", what: "the clients lose the leader, the servers do not", needs: networked, begin: clients},
	{name: "slow-net", what: "everything is late, each packet by another time", needs: networked, begin: slowNet},
	{name: "loss", what: "packets are lost", needs: packets, begin: loss},
	{name: "disk-full", what: "a server's disk has no room", needs: ownDisk, begin: diskFull},
	{name: "slow-fsync", what: "every fsync of a server is late", needs: straced, begin: slowSync},
	{name: "clock", what: "a server starts again with its monotonic clock days away", needs: timeSpaces, begin: clock},
	{name: "flip-log", what: "a bit flips in a server's newest log while it is away", heavy: true, needs: several, begin: func(a *attack) (func() error, error) {
		return a.damage("log.*", flip)
	}},
	{name: "flip-snapshot", what: "a bit flips in its newest snapshot, and there is an older one", heavy: true, needs: several, begin: func(a *attack) (func() error, error) {
		return a.damage("snapshot.*", flipSnapshot)
	}},
	{name: "torn-log", what: "the end of its newest log is missing", heavy: true, needs: several, begin: func(a *attack) (func() error, error) {
		return a.damage("log.*", tear)
	}},
	{name: "wipe", what: "a server's directory is emptied while it is away", heavy: true, needs: several, begin: wipe},
}

func several(n *Nemesis) string {
	if n.target.Size() < 3 {
		return "the others could not bear it: there are fewer than two"
	}
	return ""
}

func networked(n *Nemesis) string {
	if n.Network == nil {
		return "there is no network of our own"
	}
	return ""
}

func packets(n *Nemesis) string {
	if _, proxied := n.Network.(*network.Proxies); proxied {
		return "TCP proxies lose no packets: run it as root on Linux"
	}
	return networked(n)
}

func (a *attack) kill(s int) (func() error, error) {
	a.target.Kill(s)
	return func() error { return a.start(s) }, nil
}

func killAll(a *attack) (func() error, error) {
	for _, s := range a.shuffled() {
		a.target.Kill(a.hit(s))
	}
	return func() error {
		for _, s := range a.shuffled() {
			if err := a.start(s); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func rolling(a *attack) (func() error, error) {
	for _, s := range a.shuffled() {
		a.target.Stop(a.hit(s))
		a.sleep(a.ctx, a.between(0, 500*time.Millisecond))
		if err := a.start(s); err != nil {
			return nil, err
		}
		for i := 0; i < 200 && a.target.Mode(a.ctx, s) == ""; i++ {
			if !a.sleep(a.ctx, 50*time.Millisecond) {
				break
			}
		}
	}
	return nil, nil
}

func (a *attack) pause(s int) (func() error, error) {
	a.target.Pause(s)
	return func() error { a.target.Resume(s); return nil }, nil
}

// apart cuts both ways between two servers.
func (a *attack) apart(s, o int) {
	a.Network.Cut(s, o)
	a.Network.Cut(o, s)
}

func (a *attack) healed() (func() error, error) {
	return func() error { a.Network.Heal(); return nil }, nil
}

func halves(a *attack) (func() error, error) {
	order := a.shuffled()
	cut := 1 + a.rnd.IntN(max(1, len(order)/2))
	for _, s := range order[:cut] {
		a.hit(s)
		for _, o := range order[cut:] {
			a.apart(s, o)
		}
	}
	a.detail = fmt.Sprintf("%d servers against %d", cut, len(order)-cut)
	return a.healed()
}

func ring(a *attack) (func() error, error) {
	order := a.shuffled()
	n := len(order)
	near := (n/2 + 1) / 2 // neighbours that are heard on each side: with itself, a majority
	for i := range order {
		for d := near + 1; d < n-near; d++ {
			a.apart(order[i], order[(i+d)%n])
		}
	}
	if n == 3 { // there is no ring of three: two of them lose each other
		a.apart(order[0], order[1])
	}
	a.detail = fmt.Sprintf("around %v", order)
	return a.healed()
}

func bridge(a *attack) (func() error, error) {
	order := a.shuffled()
	middle := len(order) / 2
	for _, s := range order[:middle] {
		for _, o := range order[middle+1:] {
			a.apart(s, o)
		}
	}
	a.detail = fmt.Sprintf("by way of server %d", a.hit(order[middle])+1)
	return a.healed()
}

func isolate(a *attack) (func() error, error) {
	l := a.leader()
	for s := range a.target.Size() {
		if s != l {
			a.apart(l, s)
		}
	}
	return a.healed()
}

func oneWay(a *attack) (func() error, error) {
	s := a.leader()
	if a.rnd.IntN(2) == 0 {
		a.victims = nil
		s = a.any()
	}
	deaf := a.rnd.IntN(2) == 0
	for o := range a.target.Size() {
		switch {
		case o == s:
		case deaf:
			a.Network.Cut(o, s)
		default:
			a.Network.Cut(s, o)
		}
	}
	a.detail = map[bool]string{true: "it hears no server", false: "no server hears it"}[deaf]
	return a.healed()
}

func clients(a *attack) (func() error, error) {
	l := a.leader()
	a.Network.Cut(network.Clients, l)
	a.Network.Cut(l, network.Clients)
	return a.healed()
}

func slowNet(a *attack) (func() error, error) {
	delay := a.between(10*time.Millisecond, 150*time.Millisecond)
	jitter := a.between(time.Millisecond, 100*time.Millisecond)
	a.everywhere(delay, jitter, 0)
	a.detail = fmt.Sprintf("%v to %v", delay.Round(time.Millisecond), (delay + jitter).Round(time.Millisecond))
	return a.healed()
}

func loss(a *attack) (func() error, error) {
	share := 0.01 + 0.2*a.rnd.Float64()
	a.everywhere(0, 0, share)
	a.detail = fmt.Sprintf("%.0f %%", 100*share)
	return a.healed()
}

// everywhere shapes all ways between servers.
func (a *attack) everywhere(delay, jitter time.Duration, share float64) {
	for s := range a.target.Size() {
		for o := range a.target.Size() {
			if s != o {
				a.Network.Shape(s, o, delay, jitter, share)
			}
		}
	}
}

// ownDisk asks for a small file system below each directory of data: filling any other would be a fault of
// the machine.
func ownDisk(n *Nemesis) string {
	if !small(n.target.DataDir(0)) {
		return "the servers' directories are not on small file systems of their own: run it as root on Linux"
	}
	return ""
}

const filler = "filler"

func diskFull(a *attack) (func() error, error) {
	s := a.any()
	name := filepath.Join(a.target.DataDir(s), filler)
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 64<<10)
	for size := len(b); size > 0; {
		if _, err = f.Write(b[:size]); err != nil {
			size /= 2
		}
	}
	return func() error { return errors.Join(f.Close(), os.Remove(name)) }, nil
}

func straced(*Nemesis) string {
	if _, err := exec.LookPath("strace"); err != nil {
		return "it takes strace, which is not installed"
	}
	return ""
}

func slowSync(a *attack) (func() error, error) {
	s := a.any()
	pid := a.target.Pid(s)
	if pid == 0 {
		return nil, errors.New("it does not run")
	}
	late := a.between(5*time.Millisecond, 200*time.Millisecond)
	a.detail = late.Round(time.Millisecond).String() + " each"
	cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-p", strconv.Itoa(pid), "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", late.Microseconds()))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended with the server
		_ = cmd.Wait()                       // by that signal
		return nil
	}, nil
}

func timeSpaces(n *Nemesis) string {
	if _, err := exec.LookPath("unshare"); err != nil || runtime.GOOS != "linux" || os.Getuid() != 0 || n.Launch == nil {
		return "it takes namespaces of time: root on Linux, and the command unshare"
	}
	return ""
}

// clock starts a server with other monotonic clocks. The wall's is the machine's: no namespace has one.
func clock(a *attack) (func() error, error) {
	s := a.any()
	ahead := strconv.Itoa(1 + a.rnd.IntN(30*24*3600))
	a.detail = ahead + " s ahead"
	a.target.Stop(s)
	a.Launch(s, []string{"unshare", "-T", "--monotonic", ahead, "--boottime", ahead})
	if err := a.start(s); err != nil {
		return nil, err
	}
	return func() error {
		a.Launch(s, nil)
		a.target.Kill(s)
		return a.start(s)
	}, nil
}
