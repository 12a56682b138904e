package vfs

import (
	"io"
	"io/fs"
)

// memFile is an open file of a Mem.
type memFile struct {
	m        *Mem
	name     string
	node     *inode
	writable bool
	closed   bool
}

// begin takes the disk's lock, which the caller gives back, and checks that the file is open.
func (f *memFile) begin(op string, write bool) error {
	f.m.mu.Lock()
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if write && !f.writable {
		return pathError(op, f.name, fs.ErrPermission)
	}
	return nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	err := f.begin("read", false)
	defer f.m.mu.Unlock()
	if err != nil {
		return 0, err
	}
	data := &f.node.data
	n := int(max(0, min(int64(len(b)), data.size-off)))
	data.read(b[:n], off)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	err := f.begin("write", true)
	defer f.m.mu.Unlock()
	if err != nil || len(b) == 0 {
		return 0, err
	}
	f.node.data.write(b, off)
	for s := off / SectorSize; s*SectorSize < off+int64(len(b)); s++ {
		f.node.dirty[s] = struct{}{}
	}
	return len(b), nil
}

func (f *memFile) Size() (int64, error) {
	err := f.begin("stat", false)
	defer f.m.mu.Unlock()
	return f.node.data.size, err
}

func (f *memFile) Truncate(size int64) error {
	err := f.begin("truncate", true)
	defer f.m.mu.Unlock()
	if err != nil {
		return err
	}
	node := f.node
	node.data.truncate(size)
	node.cut = min(node.cut, size)
	for s := range node.dirty {
		if s*SectorSize >= size {
			delete(node.dirty, s)
		}
	}
	return nil
}

func (f *memFile) Preallocate(size int64) error {
	err := f.begin("preallocate", true)
	defer f.m.mu.Unlock()
	if err == nil && f.node.data.size < size {
		f.node.data.truncate(size)
	}
	return err
}

func (f *memFile) Sync() error {
	err := f.begin("sync", false)
	defer f.m.mu.Unlock()
	if err == nil {
		f.node.sync()
	}
	return err
}

func (f *memFile) Close() error {
	err := f.begin("close", false)
	defer f.m.mu.Unlock()
	f.closed = true
	return err
}

// sync makes the content durable. Only pages that changed are looked at, so that its cost follows
// what was written and not the size of the file.
func (n *inode) sync() {
	if n.cut < n.synced.size {
		n.synced = n.data.clone()
	} else {
		for s := range n.dirty {
			n.synced.adopt(&n.data, s*SectorSize/pageSize)
		}
		n.synced.size = n.data.size
	}
	clear(n.dirty)
	n.cut = noCut
}
