package log

import (
	"errors"
	"fmt"

	"quoll/zab"
)

// headerState is what recovery thinks of the header of a segment.
type headerState uint8

const (
	headerMissing headerState = iota // not whole
	headerGood
	headerForeign  // of another server
	headerUnknown  // of a version that this program does not know
	headerMismatch // whole, but not of this place in the log
	numHeaderStates
)

// finding is everything that the judgement of a segment depends on.
type finding struct {
	header  headerState
	newest  bool // no segment behind it has a whole header
	needed  bool // it is the oldest, and not the first that this server ever made
	damaged bool // it holds something behind its last good record, or less than it should
	proof   bool // a mark behind the damage says that what is damaged was durable
}

// verdict is a row of the table that says what becomes of a segment.
type verdict struct {
	name string
	when func(f finding) bool
	then func(r *recovery, s *segment, t *tail) error
}

// verdicts is where trust ends (R19). Exactly one row matches any finding.
var verdicts = []verdict{
	{
		"whole",
		func(f finding) bool { return f.header == headerGood && !f.damaged },
		(*recovery).keep,
	},
	{
		// The write that the crash interrupted: nobody was told that it was there.
		"torn tail",
		func(f finding) bool { return f.header == headerGood && f.damaged && f.newest && !f.proof },
		(*recovery).cut,
	},
	{
		"damage to what was durable",
		func(f finding) bool { return f.header == headerGood && f.damaged && (!f.newest || f.proof) },
		(*recovery).refuseTail,
	},
	{
		// The header is durable before the first block, so nothing was ever in it.
		"segment never begun",
		func(f finding) bool { return f.header == headerMissing && f.newest && !f.proof && !f.needed },
		(*recovery).drop,
	},
	{
		"lost header",
		func(f finding) bool { return f.header == headerMissing && (!f.newest || f.proof || f.needed) },
		refuseHeader(errNoHeader),
	},
	{
		"other server",
		func(f finding) bool { return f.header == headerForeign },
		(*recovery).refuseForeign,
	},
	{
		"other version",
		func(f finding) bool { return f.header == headerUnknown },
		refuseHeader(fmt.Errorf("%w: start the newer program that has written it", ErrVersion)),
	},
	{
		"wrong place",
		func(f finding) bool { return f.header == headerMismatch },
		refuseHeader(errors.New("the header does not continue the segment before it")),
	},
}

// tail is what reading a segment came to.
type tail struct {
	header *header // nil if it is not whole
	size   int64   // of the file
	good   int64   // end of the last good record, or of the header
	stop   int64   // first byte that is neither record, mark nor padding
	err    error   // why reading ended there, if not because the log ends
}

// end is where the next block goes.
func (t *tail) end() int64 { return align(t.good) }

// keep takes a segment into the log as it is. Its last sector may be short where a tail was cut;
// settle makes it durable with the rest.
func (r *recovery) keep(s *segment, t *tail) error {
	if t.size < t.end() {
		if err := s.file.Truncate(t.end()); err != nil {
			return r.log.fail("extend", r.log.segmentPath(s), err)
		}
	}
	s.refs, s.header, s.end = 1, t.header.size, t.end()
	r.log.segments = append(r.log.segments, s)
	r.log.current = s
	r.Bytes += t.good
	return nil
}

// cut removes a torn tail. Sectors that belong to a durable block stay untouched unless the tail
// reaches into them, which is only the case for a block that never was durable. settle makes the
// cut durable before anyone hears of it; a crash before that finds the same tail again.
func (r *recovery) cut(s *segment, t *tail) error {
	at := t.end()
	if t.stop < at {
		at = t.good
	}
	if err := s.file.Truncate(at); err != nil {
		return r.log.fail("cut torn tail of", r.log.segmentPath(s), err)
	}
	t.size = at
	reason := "a block that was not finished"
	if t.err != nil {
		reason = t.err.Error()
	}
	r.Torn = &TornTail{
		Segment: r.log.segmentPath(s), Offset: at, Last: r.fold.newest().last(), Reason: reason,
	}
	return r.keep(s, t)
}

// drop removes a file that never became a segment.
func (r *recovery) drop(s *segment, _ *tail) error {
	name := r.log.segmentPath(s)
	if err := r.log.fs.Remove(name); err != nil {
		return fmt.Errorf("log: remove unused segment %s: %w", name, err)
	}
	return nil
}

func (r *recovery) refuseTail(s *segment, t *tail) error {
	err := t.err
	if err == nil {
		err = errors.New("it does not end where the log says it ended")
	}
	return r.corrupt(s.sequence, t.stop, err)
}

func (r *recovery) refuseForeign(s *segment, t *tail) error {
	return r.corrupt(s.sequence, 0, fmt.Errorf("%w: it belongs to server %d, and this is server %d;"+
		" check myid and the data directory", ErrOtherServer, t.header.server, r.log.opts.Server))
}

func refuseHeader(err error) func(*recovery, *segment, *tail) error {
	return func(r *recovery, s *segment, _ *tail) error { return r.corrupt(s.sequence, 0, err) }
}

// corrupt builds the error for a segment.
func (r *recovery) corrupt(sequence uint64, offset int64, err error) error {
	var last zab.Zxid
	if len(r.log.segments) > 0 || offset > 0 {
		last = r.fold.newest().last()
	}
	return &CorruptError{
		Segment: r.log.segmentPath(&segment{sequence: sequence}), Offset: offset, Last: last, Err: err,
	}
}

// judge finds the row for a segment.
func (f finding) judge() *verdict {
	for i := range verdicts {
		if verdicts[i].when(f) {
			return &verdicts[i]
		}
	}
	panic(fmt.Sprintf("log: no verdict for %+v", f))
}
