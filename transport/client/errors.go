package client

import (
	"errors"

	"quoll/transport/wire"
)

// The ways a request ends without a reply. Of all of them only ErrConnectionLoss and a context
// that ended leave open whether the request happened.
var (
	// ErrConnectionLoss: the connection broke before the reply came.
	ErrConnectionLoss = errors.New("client: connection lost before the reply; the request may have happened")
	// ErrNotSent: no server took the session in time.
	ErrNotSent = errors.New("client: no server could be reached; the request was not sent")
	// ErrSessionExpired: a server says that the session is over.
	ErrSessionExpired = errors.New("client: session expired; dial a new one")
	// ErrClosed: Close or Abandon was called.
	ErrClosed = errors.New("client: closed")
	// ErrTooManyPending: Options.MaxPending requests are waiting already. This one was not sent.
	ErrTooManyPending = errors.New("client: too many requests in flight; the request was not sent")
	// ErrProtocol: the server sent what the protocol does not allow; the connection was dropped.
	ErrProtocol = errors.New("client: the server broke the protocol")
)

// Error is the refusal of a request by the server: errors.Is(err, wire.NoNode) finds its code.
type Error struct {
	Op   wire.Op
	Path string
	Code wire.Code
}

// Error implements error.
func (e *Error) Error() string { return e.Op.String() + " " + e.Path + ": " + e.Code.Error() }

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }
