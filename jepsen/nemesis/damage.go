package nemesis

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// damage does something to the newest file of a kind while its server is away.
func (a *attack) damage(pattern string, how func(a *attack, name string) error) (func() error, error) {
	s := a.any()
	a.target.Kill(s)
	name, err := newest(a.target.DataDir(s), pattern)
	if err == nil {
		err = how(a, name)
		a.detail += " of " + filepath.Base(name)
	}
	return func() error { return a.start(s) }, errors.Join(err, a.startUnless(err, s))
}

// startUnless starts a server again to which nothing was done.
func (a *attack) startUnless(err error, s int) error {
	if err == nil {
		return nil
	}
	return a.start(s)
}

// newest returns the file of a pattern with the highest name.
func newest(dir, pattern string) (string, error) {
	found, err := numbered(dir, pattern)
	if err != nil {
		return "", err
	}
	return found[len(found)-1], nil
}

// numbered returns the files of a pattern, in a directory or one of its own, by their numbers, of which there is
// one at least; both ZooKeeper and Quoll number them in hexadecimal.
func numbered(dir, pattern string) ([]string, error) {
	var found []string
	for _, p := range []string{pattern, filepath.Join("*", pattern)} {
		names, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			return nil, err
		}
		found = append(found, names...)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no %s", pattern)
	}
	slices.SortFunc(found, func(x, y string) int {
		a, b := filepath.Base(x), filepath.Base(y)
		return cmp.Or(len(a)-len(b), strings.Compare(a, b))
	})
	return found, nil
}

// flipSnapshot is flip where a server can bear it: with an older snapshot that is whole, and the logs since. One
// that has lost its only snapshot is right to refuse to start: it does not know what it has promised.
func flipSnapshot(a *attack, name string) error {
	all, err := numbered(filepath.Dir(name), "snapshot.*")
	if err != nil {
		return err
	}
	if len(all) < 2 || a.flipped[all[len(all)-2]] {
		return errors.New("there is no older snapshot to fall back on")
	}
	if a.flipped == nil {
		a.flipped = map[string]bool{}
	}
	a.flipped[name] = true
	return flip(a, name)
}

// flip turns a bit over, somewhere in what is written.
func flip(a *attack, name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end-- // what was only reserved
	}
	if end == 0 {
		return errors.New("the file is empty")
	}
	at := a.rnd.IntN(end)
	b[at] ^= 1 << a.rnd.IntN(8)
	a.detail = fmt.Sprintf("a bit of byte %d of %d", at, end)
	return overwrite(name, b)
}

// tear takes the end of a file away, as if it had never been written.
func tear(a *attack, name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end--
	}
	cut := 1 + a.rnd.IntN(max(1, min(end, 4096)))
	a.detail = fmt.Sprintf("the last %d bytes of %d", cut, end)
	return overwrite(name, b[:max(0, end-cut)])
}

func overwrite(name string, b []byte) error { return os.WriteFile(name, b, 0o600) }

// kept are the files that make a directory that of its server.
var kept = []string{"myid", filler}

func wipe(a *attack) (func() error, error) {
	s := a.any()
	a.target.Kill(s)
	entries, err := os.ReadDir(a.target.DataDir(s))
	for _, e := range entries {
		if !slices.Contains(kept, e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(a.target.DataDir(s), e.Name())))
		}
	}
	return func() error { return a.start(s) }, err
}
