package check

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"quoll/jepsen/history"
)

// Note is something beside the operations in a Picture: a fault, an election. Times are in µs of the
// history.
type Note struct {
	From, To int64
	Tag      string // the line that it is on
	Text     string
}

// ErrNoPicture says that a history has nothing that a Picture could show.
var ErrNoPicture = errors.New("check: there is nothing that can be linearized")

// Picture writes porcupine's page of the operations on one znode: the one that ops are about, if there are
// any, up to them; else the busiest, so many operations from its beginning.
func Picture(w io.Writer, h *history.History, l Limits, ops []int, most int, notes []Note) error {
	parts := newStudy(h, l).parts()
	if len(parts) == 0 {
		return ErrNoPicture
	}
	p := &parts[0]
	for i := range parts {
		if len(ops) > 0 && slices.Contains(parts[i].indices, ops[len(ops)-1]) {
			p = &parts[i]
			break
		}
		if len(parts[i].ops) > len(p.ops) {
			p = &parts[i]
		}
	}
	slices.SortFunc(p.ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	end := int64(math.MaxInt64)
	if len(ops) > 0 {
		end = h.Ops[ops[len(ops)-1]].Return.Seq
	}
	var shown []porcupine.Operation
	for _, o := range p.ops {
		if o.Call <= end {
			if in := o.Input.(access); !in.Known() {
				in.open = true
				o.Input, o.Return = in, h.End.Seq+2
			}
			shown = append(shown, o)
		}
	}
	if len(shown) == 0 {
		return ErrNoPicture
	}
	last := end
	if len(ops) == 0 {
		shown = shown[:min(len(shown), most)]
		last = shown[len(shown)-1].Call
	}
	// What has no answer may never have happened: behind the end it is of no account.
	shown = append(shown, porcupine.Operation{Input: access{end: true}, Call: h.End.Seq, Return: h.End.Seq + 1})
	model := znodeModel
	model.DescribeOperation = func(input, _ any) string {
		in := input.(access)
		if in.Operation == nil {
			return "the end"
		}
		if !in.Known() {
			return asks(&in.Op) + ": no answer"
		}
		return fmt.Sprintf("%s: %s at %s", asks(&in.Op), outcome(in.Operation), hex(in.Zxid))
	}
	const patience = 10 * time.Second
	_, info := porcupine.CheckOperationsVerbose(model, shown, patience)
	var annotations []porcupine.Annotation
	for _, n := range notes {
		from, to := moment(h, n.From), moment(h, n.To)
		if from <= last {
			annotations = append(annotations, porcupine.Annotation{Tag: n.Tag, Start: from, End: min(max(to, from+1), last+1), Description: n.Text})
		}
	}
	info.AddAnnotations(annotations)
	return porcupine.Visualize(model, info, w)
}

// moment returns the number of the first operation's moment at or after a time.
func moment(h *history.History, us int64) int64 {
	i := sort.Search(len(h.Ops), func(i int) bool { return h.Ops[i].Call.At >= us })
	if i == len(h.Ops) {
		return h.End.Seq
	}
	return h.Ops[i].Call.Seq
}

// Describe says for people what an operation was and what came of it.
func Describe(h *history.History, i int) string {
	o := &h.Ops[i]
	text := fmt.Sprintf("client %d, %s at server %d: %s, asked at %s", o.Client, session(o.Session), o.Server, asks(&o.Op), seconds(o.Call))
	if !o.Known() {
		return text + ", never answered"
	}
	return fmt.Sprintf("%s, answered at %s with %s (zxid %s)", text, seconds(o.Return), outcome(o), hex(o.Zxid))
}
