// Package wire holds the records of ZooKeeper's client protocol: operations, codes, headers,
// requests and responses, as plain structs that append themselves to a slice and decode
// themselves from one. It sees no socket; the core may use it.
//
// Both ends of a connection speak through it, so every record goes both ways. A record's Decode
// is straight-line code over a jute.Decoder whose first fault sticks: look at Err at the end. A
// decoded []byte aliases the frame and lives as long as it does; a decoded string is a copy. A
// nil slice is jute's null, which is not the same as empty (a znode may hold null data), and
// Append writes back what Decode read. Trailing bytes are no fault: ZooKeeper ignores them.
//
// After a frame's length and a RequestHeader comes the record of the operation; after the length
// and a ReplyHeader without a code comes that of the result:
//
//	operation                          request             result
//	create                             CreateRequest       PathResponse
//	create2, createContainer           CreateRequest       PathStatResponse
//	createTTL                          CreateTTLRequest    PathStatResponse
//	delete, check                      PathVersionRequest  -
//	exists                             PathWatchRequest    Stat
//	getData                            PathWatchRequest    DataResponse
//	getChildren                        PathWatchRequest    ChildrenResponse
//	getChildren2                       PathWatchRequest    Children2Response
//	setData                            SetDataRequest      Stat
//	getACL                             PathRequest         ACLResponse
//	setACL                             SetACLRequest       Stat
//	sync                               PathRequest         PathResponse
//	getEphemerals                      PathRequest         ChildrenResponse (whole paths)
//	getAllChildrenNumber               PathRequest         CountResponse
//	multi, multiRead                   MultiOp ...         MultiResult ...
//	reconfig                           ReconfigRequest     DataResponse
//	addWatch                           AddWatchRequest     ErrorResponse
//	checkWatches, removeWatches        WatcherRequest      -
//	setWatches, setWatches2            SetWatchesRequest   -
//	auth                               AuthRequest         -
//	sasl                               TokenRecord         TokenRecord
//	whoAmI                             -                   WhoAmIResponse
//	ping, closeSession                 -                   -
//
// The handshake, ConnectRequest and ConnectResponse, has no header around it. The layouts are
// drawn in ZooKeeper's own zookeeper.jute; testdata/golden.txt holds frames of a real server.
package wire
