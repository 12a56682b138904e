// Package check judges histories: one function for each promise that zab.md 3.4 makes to clients,
// by its name there. C-STALE has none of its own: that a read may be old but only by a true prefix,
// and never older than what its session has seen, is what C-READ and C-MONO say together.
//
// Most of the checks compare a history with the committed sequence, and need no search: the zxid in
// the header of a reply says which prefix of the sequence the reply reflects, so model.Tree can be
// asked what it should have been. Only C-LINW searches; it does not look at zxids at all, and
// so does not take the servers' word for anything.
//
// A history without the sequence, one of real processes, is judged by what the clients alone can
// prove. Acknowledged writes have their zxids, so they are a sequence with gaps, and a gap can be
// filled by little: a write without an outcome, at a zxid above all that anybody had been shown when
// it was called; the end of a session; the reaper of containers. What of the promises is left:
//   - C-DUR, C-READ: of one path, whatever is known at one zxid follows from what is known at the one
//     before and what may fill the gap; data are what somebody asked for; a version has one value.
//   - C-ONCE: no request shows at two zxids.
//   - C-MULTI: parts of one read do not show halves of a multi.
//   - C-WATCH2: an event has a watch that is not used up, and a change that may have been.
//   - C-WATCH3: a known change is told before an answer shows it, or for a one-shot watch one before.
//   - C-SESS, C-EPHLIFE: who is told that a session is over knows that its end is committed; that is not
//     within a timeout of a write of it that was acknowledged, and nothing of it remains.
//
// A history begins with a service that nobody has used, and no client uses a number twice in a
// session. What must hold of a check: a violation is a proof, never a suspicion. Operations whose
// outcome is unknown may have taken effect at any time after their call, or never; a stale read is
// legal. Where two checks could report the same fault one of them leaves it to the other, and says
// so. Each costs O(n log n) in the length of the history, those of watches once for each client;
// C-LINW has a limit of time, and a verdict that it could not reach is Undecided, never silence.
//
// It must never import tree or session: a judge does not ask the accused.
package check
