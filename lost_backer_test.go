package quoll_test

import (
	"sync"
	"testing"

	"quoll"
	"quoll/log/vfs"
	"quoll/zab"
)

// slowSyncs holds back the syncs of all disks that are not spared, from hold until release.
type slowSyncs struct {
	mu      sync.Mutex
	spared  map[zab.ServerID]bool
	gate    chan struct{} // nil: open
	waiting map[zab.ServerID]bool
}

func (s *slowSyncs) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate, s.waiting, s.spared = make(chan struct{}), map[zab.ServerID]bool{}, map[zab.ServerID]bool{}
}

// spare lets the syncs of a disk go that come from now on.
func (s *slowSyncs) spare(id zab.ServerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spared[id] = true
}

func (s *slowSyncs) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gate)
	s.gate = nil
}

func (s *slowSyncs) await(id zab.ServerID) {
	s.mu.Lock()
	gate := s.gate
	held := gate != nil && !s.spared[id]
	if held {
		s.waiting[id] = true
	}
	s.mu.Unlock()
	if held {
		<-gate
	}
}

// slowDisk is a disk whose syncs are held back.
type slowDisk struct {
	vfs.FS
	syncs *slowSyncs
	id    zab.ServerID
}

type slowFile struct {
	vfs.File
	disk *slowDisk
}

func (d *slowDisk) Create(name string) (vfs.File, error) { return d.slow(d.FS.Create(name)) }

func (d *slowDisk) OpenReadWrite(name string) (vfs.File, error) {
	return d.slow(d.FS.OpenReadWrite(name))
}

func (d *slowDisk) slow(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &slowFile{File: f, disk: d}, nil
}

func (f *slowFile) Sync() error {
	f.disk.syncs.await(f.disk.id)
	return f.File.Sync()
}

// who returns the only server whose sync is held back, or -1.
func (s *slowSyncs) who() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 1 {
		for id := range s.waiting {
			return int(id) - 1
		}
	}
	return -1
}

// The follower that helped to elect a leader dies before the epoch is established, when the old
// leader is dead, too. As soon as that one is back there is a quorum, and it serves: the server
// that was elected does not wait for the dead one until the init window is over.
func TestFollowerDiesBeforeTheEpoch(t *testing.T) {
	syncs := new(slowSyncs)
	adjust := func(c *quoll.Config) {
		c.InitLimit = 3000 // ten minutes, which awaitServing does not have
		c.FS = &slowDisk{FS: c.FS, syncs: syncs, id: c.MyID}
	}
	inEnsemble(t, 3, 0, adjust, func(e *ensemble) {
		old := e.leader()
		syncs.hold()
		kill := func(i int) {
			syncs.spare(e.specs[i].ID) // what is dead syncs no more, and nobody waits for it
			e.kill(i)
		}
		kill(old)
		elected := -1
		e.await("the next leader to promise itself an epoch", func() bool { elected = syncs.who(); return elected >= 0 })
		follower := 3 - old - elected
		kill(follower)
		syncs.release()
		e.start(old)
		e.awaitServing()
		e.start(follower)
		e.awaitServing()
		e.converge()
	})
}
