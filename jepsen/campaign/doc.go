// Package campaign runs one test of an ensemble from beginning to end: it starts servers, lets clients
// work while a nemesis breaks things, makes all whole, reads everything from each server, and judges.
//
// What must hold: a run that could not be carried out is an error and no verdict; a check that could
// not decide says so; and the servers' own word counts for nothing but to find the leader.
package campaign
