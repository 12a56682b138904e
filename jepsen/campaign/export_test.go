package campaign

import "quoll/zab"

// SnapCount is what a seed draws.
var SnapCount = snapCount

// Xid is the type of a request's number.
type Xid = zab.Xid

// Drawn picks a few.
var Drawn = drawn

// Config returns the lines that every server gets.
func Config(opts Options) []string { return (&bench{Options: opts}).config() }

// Same is what judges the survey.
var Same = same

// ServerID is the type of a server's id.
type ServerID = zab.ServerID
