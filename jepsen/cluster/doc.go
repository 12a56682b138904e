// Package cluster runs an ensemble of real server processes on this machine, of Quoll or of any
// server that reads zoo.cfg, and does to them what operators and accidents do: kill, stop, pause,
// start again. It knows servers only by their processes and their client ports.
package cluster
