package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
)

// Mem is a disk in memory. It does at once and forever only what was synced; PowerLoss shows what
// may be left of the rest. It never blocks and reads no clock, so it runs in a synctest bubble and
// in a simulation.
type Mem struct {
	mu      sync.Mutex
	names   map[string]*inode // what a running process sees, by cleaned path
	durable map[string]*inode // what survives a power loss for sure
	dirs    map[string]bool   // directories; true: its name is durable
	ops     []nameOp          // what happened to names and is not durable, in order
	locks   map[string]*memLock
}

// inode is a file apart from its names.
type inode struct {
	data   image
	synced image              // as of the last Sync
	dirty  map[int64]struct{} // sectors written since
	cut    int64              // smallest size since; noCut if it never shrank
}

const noCut = math.MaxInt64

// nameOp is a change of names: node appears as add, whatever was called remove is gone. A rename
// has both, since it happens in one step.
type nameOp struct {
	add, remove string
	node        *inode
	dir         bool // add is a directory
}

func (op *nameOp) touches(dir string) bool {
	return op.add != "" && path.Dir(op.add) == dir || op.remove != "" && path.Dir(op.remove) == dir
}

// apply carries the change out on a set of names.
func (op *nameOp) apply(names map[string]*inode, dirs map[string]bool) {
	if op.dir {
		dirs[op.add] = true
		return
	}
	if op.remove != "" {
		delete(names, op.remove)
	}
	if op.add != "" {
		names[op.add] = op.node
	}
}

// NewMem returns an empty disk with the directories "/" and ".".
func NewMem() *Mem {
	return &Mem{
		names:   make(map[string]*inode),
		durable: make(map[string]*inode),
		dirs:    map[string]bool{"/": true, ".": true},
		locks:   make(map[string]*memLock),
	}
}

func newInode() *inode {
	return &inode{data: newImage(), synced: newImage(), dirty: make(map[int64]struct{}), cut: noCut}
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// change carries out a change of names and remembers that it is not durable yet.
func (m *Mem) change(op nameOp) {
	op.apply(m.names, m.dirs)
	m.ops = append(m.ops, op)
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = path.Clean(name)
	if _, ok := m.dirs[path.Dir(name)]; !ok {
		return nil, pathError("create", name, fs.ErrNotExist)
	}
	if m.names[name] != nil {
		return nil, pathError("create", name, fs.ErrExist)
	}
	node := newInode()
	m.change(nameOp{add: name, node: node})
	return &memFile{m: m, name: name, node: node, writable: true}, nil
}

func (m *Mem) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = path.Clean(name)
	node := m.names[name]
	if node == nil {
		return nil, pathError("open", name, fs.ErrNotExist)
	}
	return &memFile{m: m, name: name, node: node, writable: writable}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

// OpenReadWrite implements FS.
func (m *Mem) OpenReadWrite(name string) (File, error) { return m.open(name, true) }

// Stat implements FS.
func (m *Mem) Stat(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.names[path.Clean(name)]
	if node == nil {
		return 0, pathError("stat", name, fs.ErrNotExist)
	}
	return node.data.size, nil
}

// Rename implements FS.
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	oldName, newName = path.Clean(oldName), path.Clean(newName)
	node := m.names[oldName]
	if _, ok := m.dirs[path.Dir(newName)]; !ok || node == nil {
		return pathError("rename", oldName, fs.ErrNotExist)
	}
	m.change(nameOp{add: newName, remove: oldName, node: node})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = path.Clean(name)
	if m.names[name] == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	m.change(nameOp{remove: name})
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = path.Clean(dir)
	if _, ok := m.dirs[dir]; !ok {
		return nil, pathError("list", dir, fs.ErrNotExist)
	}
	var names []string
	for name := range m.names {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	for name := range m.dirs {
		if path.Dir(name) == dir && name != dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = path.Clean(dir)
	for i := 1; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		part := dir[:i]
		if m.names[part] != nil {
			return pathError("mkdir", part, errors.New("not a directory"))
		}
		if _, ok := m.dirs[part]; !ok {
			m.dirs[part] = false
			m.ops = append(m.ops, nameOp{add: part, dir: true})
		}
	}
	return nil
}

// SyncDir implements FS. A rename between two directories is durable with either of them.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = path.Clean(dir)
	if _, ok := m.dirs[dir]; !ok {
		return pathError("sync", dir, fs.ErrNotExist)
	}
	m.ops = slices.DeleteFunc(m.ops, func(op nameOp) bool {
		if !op.touches(dir) {
			return false
		}
		op.apply(m.durable, m.dirs)
		return true
	})
	return nil
}

type memLock struct {
	m    *Mem
	name string
}

// Close gives the lock back.
func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.m.locks[l.name] != l {
		return pathError("unlock", l.name, fs.ErrClosed)
	}
	delete(l.m.locks, l.name)
	return nil
}

// Lock implements FS. It leaves no file.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = path.Clean(name)
	if _, ok := m.dirs[path.Dir(name)]; !ok {
		return nil, pathError("lock", name, fs.ErrNotExist)
	}
	if m.locks[name] != nil {
		return nil, pathError("lock", name, ErrLocked)
	}
	l := &memLock{m: m, name: name}
	m.locks[name] = l
	return l, nil
}

// Free implements FS. The disk has no end; Fault makes one.
func (m *Mem) Free(string) (uint64, error) { return math.MaxInt64, nil }

// String lists the files and their sizes, for the message of a test that failed.
func (m *Mem) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(sortedNames(m.names), " ")
}
