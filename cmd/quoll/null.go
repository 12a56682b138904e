package main

import (
	"bytes"
	"fmt"
	"io"
	"net"

	"quoll/cmd/internal/null"
)

// nullCmd runs a server that does nothing. It ends with its standard input, so that it does not
// outlive whoever started it.
type nullCmd struct {
	Address string `default:"127.0.0.1:0" help:"Where to listen; the address is printed."`
	Size    int    `default:"100" help:"Bytes of data in every znode."`
}

// Run performs the command.
func (n *nullCmd) Run(c *console) error {
	l, err := net.Listen("tcp", n.Address)
	if err != nil {
		return fmt.Errorf("listen for the null server: %w", err)
	}
	defer l.Close()
	if err := c.printf("%s\n", l.Addr()); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- (&null.Server{Data: bytes.Repeat([]byte("q"), n.Size)}).Serve(l) }()
	left := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c.in)
		left <- err
	}()
	select {
	case err := <-served:
		return err
	case err := <-left:
		return err
	case <-c.ctx.Done():
		return nil
	}
}
