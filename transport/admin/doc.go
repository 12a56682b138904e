// Package admin is what operators and their tools see of a server: the four-letter words of the
// client port, formatted to the byte as Apache ZooKeeper formats them, because scripts and client
// libraries parse them (go-zookeeper srvr and cons, kazoo envi and ruok, dashboards mntr).
//
// It owns the words, their whitelist and their text. It asks the server through Source and decides
// nothing; an answer is a value made of what Source said at that moment.
//
// Invariants:
//
//   - A word outside the whitelist learns nothing of the server, not even whether it serves.
//   - While the server does not serve, only words that are about the process are answered.
//   - An answer never contains a password or a digest.
//
// It must never import another package of ours: what it shows it states as the fields of Status,
// Connection, Watch and Session, and the server fills them in.
package admin
