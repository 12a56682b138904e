package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
)

// nullServer answers what this program asks for at once and does nothing: the load generator
// against it measures itself.
type nullServer struct {
	etcdserverpb.UnimplementedKVServer
	value []byte
}

// Range has every key.
func (s *nullServer) Range(_ context.Context, r *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	return &etcdserverpb.RangeResponse{
		Header: &etcdserverpb.ResponseHeader{Revision: 1}, Count: 1,
		Kvs: []*mvccpb.KeyValue{{Key: r.Key, Value: s.value, CreateRevision: 1, ModRevision: 1, Version: 1}},
	}, nil
}

// Put takes everything.
func (s *nullServer) Put(context.Context, *etcdserverpb.PutRequest) (*etcdserverpb.PutResponse, error) {
	return &etcdserverpb.PutResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1}}, nil
}

// DeleteRange has nothing to delete.
func (s *nullServer) DeleteRange(context.Context, *etcdserverpb.DeleteRangeRequest) (*etcdserverpb.DeleteRangeResponse, error) {
	return &etcdserverpb.DeleteRangeResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1}}, nil
}

// serveNull serves until the standard input ends, so that it does not outlive whoever started it.
func serveNull(ctx context.Context, o *options, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the null server: %w", err)
	}
	s := grpc.NewServer()
	etcdserverpb.RegisterKVServer(s, &nullServer{value: []byte(strings.Repeat("q", o.size))})
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	left, leave := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, it has ended
		leave()
	}()
	go func() {
		<-left.Done()
		s.Stop()
	}()
	return s.Serve(l)
}
