// Package wire holds the records of ZooKeeper's client protocol: operations, codes, headers,
// requests and responses, as plain structs that append themselves to a slice and decode
// themselves from one. It sees no socket; the core may use it.
package wire
