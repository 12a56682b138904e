package network

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Switch is a Network of namespaces whose packets this process carries from one to the other.
//
//	namespace of server 0      10.N.M.2 -- TUN --+
//	namespace of server 1      10.N.M.3 -- TUN --+-- this process, which drops and delays
//	that of this process       10.N.M.1 -- TUN --+
type Switch struct {
	*ways
	subnet string // the first three numbers
	prefix string // of the names of namespaces and devices
	tuns   []*os.File
	spaces int // namespaces that exist
}

// mtu is large, so that there are few packets: all of them go through this process.
const mtu = 32 << 10

// NewSwitch sets the namespaces of some servers up. Close must be called even when it fails.
func NewSwitch(servers int) (*Switch, error) {
	pid := os.Getpid()
	s := &Switch{
		ways: newWays(servers), subnet: fmt.Sprintf("10.%d.%d", 64+pid>>8&63, pid&255), prefix: fmt.Sprintf("q%d", pid%100000),
	}
	for i := range servers {
		name := s.space(i)
		if err := ip("netns", "add", name); err != nil {
			return s, err
		}
		s.spaces++
		if err := s.join(name, s.Host(i)); err != nil {
			return s, err
		}
	}
	if err := s.join("", s.Host(Clients)); err != nil {
		return s, err
	}
	for i, tun := range s.tuns {
		from := i
		if i == servers {
			from = Clients
		}
		go s.carry(from, tun)
	}
	return s, nil
}

func (s *Switch) space(server int) string { return fmt.Sprintf("%s-%d", s.prefix, server+1) }

// ip runs the command of that name.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("network: ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// join makes the device of a namespace, "" being that of this process, and brings it up.
func (s *Switch) join(space, address string) error {
	device := s.prefix + "t"
	tun, err := openTun(space, device)
	if err != nil {
		return err
	}
	s.tuns = append(s.tuns, tun)
	within := []string{}
	if space != "" {
		within = []string{"-n", space}
	}
	commands := [][]string{
		{"addr", "add", address + "/24", "dev", device},
		{"link", "set", "dev", device, "mtu", fmt.Sprint(mtu), "txqueuelen", "5000"},
		{"link", "set", "dev", device, "up"},
	}
	if space != "" {
		commands = append(commands, []string{"link", "set", "dev", "lo", "up"})
	}
	for _, c := range commands {
		if err := ip(append(slices.Clip(within), c...)...); err != nil {
			return err
		}
	}
	return nil
}

// openTun makes a TUN device in a namespace. The thread that has entered it is of no use to anybody
// else, so it ends with its goroutine.
func openTun(space, device string) (tun *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if space != "" {
			runtime.LockOSThread()
			var f *os.File
			if f, err = os.Open("/var/run/netns/" + space); err != nil {
				return
			}
			defer func() { _ = f.Close() }()
			if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
				err = fmt.Errorf("network: enter namespace %s: %w", space, err)
				return
			}
		}
		var fd int
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			err = fmt.Errorf("network: open /dev/net/tun: %w", err)
			return
		}
		var req *unix.Ifreq
		if req, err = unix.NewIfreq(device); err == nil {
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			_ = unix.Close(fd)
			err = fmt.Errorf("network: make device %s: %w", device, err)
			return
		}
		tun = os.NewFile(uintptr(fd), "/dev/net/tun")
	}()
	<-done
	return tun, err
}

// The header of IPv4: the addresses are at its end.
const (
	ipHeader      = 20
	ipSource      = 12
	ipDestination = 16
)

// carry takes the packets of one endpoint to where they go.
func (s *Switch) carry(from int, tun *os.File) {
	b := make([]byte, mtu+64)
	for {
		n, err := tun.Read(b)
		if err != nil {
			return // it is closed
		}
		if n < ipHeader || b[0]>>4 != 4 || net.IP(b[ipSource:ipSource+4]).String() != s.Host(from) {
			continue // not of ours: the kernel asks around for routers now and then
		}
		to := int(b[ipDestination+3]) - 2
		if to < Clients || to >= s.n-1 || to == from {
			continue
		}
		lost, late := s.fate(from, to)
		out := s.tuns[(to+s.n)%s.n]
		switch {
		case lost:
		case late == 0:
			_, _ = out.Write(b[:n]) // a device that is down loses packets, as wires do
		default:
			packet := append([]byte(nil), b[:n]...)
			time.AfterFunc(late, func() { _, _ = out.Write(packet) })
		}
	}
}

// Kind implements Network.
func (s *Switch) Kind() string { return "namespaces, with a switch of its own" }

// Host implements Network.
func (s *Switch) Host(server int) string { return fmt.Sprintf("%s.%d", s.subnet, server+2) }

// Within implements Network.
func (s *Switch) Within(server int, command []string) []string {
	return append([]string{"ip", "netns", "exec", s.space(server)}, command...)
}

// Via implements Network: the switch is on every way.
func (s *Switch) Via(_, _ int, address string) (string, error) { return address, nil }

// Close implements Network. The servers must have ended.
func (s *Switch) Close() error {
	var all []error
	for _, tun := range s.tuns {
		all = append(all, tun.Close())
	}
	for i := range s.spaces {
		all = append(all, ip("netns", "del", s.space(i)))
	}
	return errors.Join(all...)
}
