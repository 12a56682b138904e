package campaign

import "quoll/zab"

// Same is what judges the survey.
var Same = same

// WireSession is the type of a session's id.
type WireSession = zab.SessionID
