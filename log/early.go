package log

import (
	"io"
	"path"

	"quoll/zab"
)

// Early is the newest snapshot in a directory whose log is not open yet. Open reads all of the log, and restoring a large
// snapshot takes as long; so it may be read beside Open. Whether it is in the history is Open's to say: what was restored
// counts only if that chooses the same one.
type Early struct {
	Zxid zab.Zxid
	Size int64 // of the file
	opts Options
}

// FindEarly looks for it by name. It returns nil if there is none, or if the directory cannot be read, which Open
// will say better.
func FindEarly(opts Options) *Early {
	opts.settle()
	names, err := opts.FS.List(opts.SnapDir)
	if err != nil {
		return nil
	}
	e := &Early{opts: opts}
	for _, name := range names {
		if z, ok := parseSnapshotName(name); ok {
			e.Zxid = max(e.Zxid, z)
		}
	}
	if e.Zxid == 0 {
		return nil
	}
	if e.Size, err = opts.FS.Stat(e.path()); err != nil {
		return nil
	}
	return e
}

func (e *Early) path() string { return path.Join(e.opts.SnapDir, snapshotName(e.Zxid)) }

// Read is ReadSnapshot.
func (e *Early) Read(restore func(io.Reader) error) error {
	r, size, err := openSnapshot(e.opts.FS, e.path())
	if err != nil {
		return err
	}
	err = decodeSnapshot(r, e.Zxid, size, nil, restore)
	_ = r.Close() // only read
	return err
}
