package campaign

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// diskBytes is the size of a server's own disk, where it gets one: what it has to be filled by is little.
const diskBytes = 192 << 20

// mount gives a server a small file system of its own, if a fault needs one and one can be had.
func (b *bench) mount(server int) error {
	wanted := slices.Contains(b.Nemesis, "disk-full")
	if !wanted && !slices.Contains(b.Nemesis, All) && !slices.Contains(b.Nemesis, Few) || runtime.GOOS != "linux" || os.Getuid() != 0 {
		return nil
	}
	dir := filepath.Join(b.Dir, fmt.Sprintf("s%d", server+1), "data")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", diskBytes), "quoll-jepsen", dir).CombinedOutput()
	switch {
	case err == nil:
		b.mounts = append(b.mounts, dir)
	case wanted:
		return fmt.Errorf("campaign: mount %s: %w: %s", dir, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unmount takes the file systems away; what is to be kept is copied out of them before.
func (b *bench) unmount(keep bool) error {
	var all []error
	for _, dir := range b.mounts {
		if keep {
			if out, err := exec.Command("cp", "-a", dir, dir+".kept").CombinedOutput(); err != nil {
				all = append(all, fmt.Errorf("campaign: keep %s: %w: %s", dir, err, out))
			}
		}
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			all = append(all, fmt.Errorf("campaign: umount %s: %w: %s", dir, err, out))
		}
	}
	if !keep && b.Target.Addresses == nil {
		for i := range b.Servers {
			all = append(all, os.RemoveAll(filepath.Join(b.Dir, fmt.Sprintf("s%d", i+1))))
		}
	}
	return errors.Join(all...)
}
