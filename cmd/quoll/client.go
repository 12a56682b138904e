package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"quoll/transport/client"
	"quoll/transport/wire"
)

// target says which servers a command talks to, and as whom.
type target struct {
	Server  []string      `default:"127.0.0.1:2181" placeholder:"HOST:PORT" help:"Servers to try, in this order."`
	Timeout time.Duration `default:"10s" help:"Give up after this time; also the session's time-out."`
	Auth    []string      `sep:"none" placeholder:"SCHEME:AUTH" help:"Identity to add, such as digest:user:password."`
	Output  string        `short:"o" enum:"text,json" default:"text" help:"Form of the output: text or json."`
}

// with runs f in a session that is closed afterwards.
func (t *target) with(c *console, f func(ctx context.Context, s *client.Client) error) error {
	ctx, cancel := context.WithTimeout(c.ctx, t.Timeout)
	defer cancel()
	s, err := client.Dial(ctx, client.Options{Servers: t.Server, SessionTimeout: t.Timeout})
	if err != nil {
		return err
	}
	if err = t.authenticate(ctx, s); err == nil {
		err = f(ctx, s)
	}
	// The session goes in any case: a script that polls must not leave one behind each time.
	leave, done := context.WithTimeout(context.WithoutCancel(ctx), t.Timeout)
	defer done()
	if left := s.Close(leave); err == nil {
		err = left
	}
	return err
}

// authenticate proves the identities of --auth.
func (t *target) authenticate(ctx context.Context, s *client.Client) error {
	for _, a := range t.Auth {
		scheme, auth, ok := strings.Cut(a, ":")
		if !ok {
			return fmt.Errorf("--auth %s: want SCHEME:AUTH, such as digest:user:password", a)
		}
		if err := s.Auth(ctx, scheme, []byte(auth)); err != nil {
			return fmt.Errorf("--auth %s:...: %w", scheme, err)
		}
	}
	return nil
}

// children returns the sorted names of a znode's children.
func children(ctx context.Context, s *client.Client, path string) ([]string, wire.Stat, error) {
	names, stat, err := s.Children(ctx, path)
	slices.Sort(names)
	return names, stat, err
}

// descend calls f with a znode and all below it, parents first, names sorted. A znode that goes
// away meanwhile is passed over.
func descend(ctx context.Context, s *client.Client, root string, f func(path string) error) error {
	names, _, err := children(ctx, s, root)
	if err != nil {
		return err
	}
	if err := f(root); err != nil {
		return err
	}
	for _, name := range names {
		if err := descend(ctx, s, path.Join(root, name), f); err != nil && !errors.Is(err, wire.NoNode) {
			return err
		}
	}
	return nil
}

// pipelineWidth is how many requests of a bulk of them are in flight.
const pipelineWidth = 256

// deleteTree deletes a znode and all below it. The children of one parent go in one pipeline.
func deleteTree(ctx context.Context, s *client.Client, root string) error {
	names, _, err := s.Children(ctx, root)
	if errors.Is(err, wire.NoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	remove := func(i int, done func(client.Reply)) {
		r := wire.PathVersionRequest{Path: []byte(path.Join(root, names[i])), Version: wire.AnyVersion}
		s.Do(wire.OpDelete, r.Append, done)
	}
	var parents []string
	err = pipelined(ctx, len(names), pipelineWidth, remove, func(i int, r client.Reply) error {
		switch {
		case r.Err == nil && r.Code == wire.NotEmpty:
			parents = append(parents, path.Join(root, names[i]))
			return nil
		case r.Err == nil && r.Code == wire.NoNode:
			return nil
		default:
			return r.Failure()
		}
	})
	if err != nil {
		return fmt.Errorf("delete below %s: %w", root, err)
	}
	for _, p := range parents {
		if err := deleteTree(ctx, s, p); err != nil {
			return err
		}
	}
	if err := s.Delete(ctx, root, wire.AnyVersion); err != nil && !errors.Is(err, wire.NoNode) {
		return err
	}
	return nil
}

// pipelined sends the requests 0 to n-1, width at a time, and returns the first error of judge,
// after which it sends no more. judge runs in the caller's goroutine.
func pipelined(
	ctx context.Context, n, width int, send func(i int, done func(client.Reply)), judge func(i int, r client.Reply) error,
) error {
	type end struct {
		i int
		r client.Reply
	}
	ends := make(chan end, width) // so that no callback ever waits
	sent, ended := 0, 0
	for sent < n || ended < sent {
		for sent < n && sent-ended < width {
			i := sent
			sent++
			send(i, func(r client.Reply) {
				r.Body = nil // it dies with the callback
				ends <- end{i, r}
			})
		}
		select {
		case e := <-ends:
			ended++
			if err := judge(e.i, e.r); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// lsCmd lists children.
type lsCmd struct {
	target
	Recursive bool   `short:"R" help:"List the whole subtree, with full paths."`
	Path      string `arg:"" default:"/" help:"Path of the znode."`
}

// Run performs the command.
func (l *lsCmd) Run(c *console) error {
	return l.with(c, func(ctx context.Context, s *client.Client) error {
		var names []string
		var err error
		if l.Recursive {
			err = descend(ctx, s, l.Path, func(p string) error {
				names = append(names, p)
				return nil
			})
		} else {
			names, _, err = children(ctx, s, l.Path)
		}
		if err != nil {
			return err
		}
		if l.Output == "json" {
			return c.json(listing{Path: l.Path, Recursive: l.Recursive, Names: names})
		}
		if len(names) == 0 {
			return nil
		}
		return c.printf("%s\n", strings.Join(names, "\n"))
	})
}

// getCmd prints data.
type getCmd struct {
	target
	Path string `arg:"" help:"Path of the znode."`
}

// Run performs the command.
func (g *getCmd) Run(c *console) error {
	return g.with(c, func(ctx context.Context, s *client.Client) error {
		data, stat, err := s.Data(ctx, g.Path)
		if err != nil {
			return err
		}
		if g.Output == "json" {
			return c.json(newZnode(g.Path, stat).withData(data))
		}
		return c.printf("%s\n", data)
	})
}

// setCmd replaces data.
type setCmd struct {
	target
	Version int32  `short:"v" default:"-1" help:"Only when the znode has this version; -1: any."`
	Path    string `arg:"" help:"Path of the znode."`
	Data    string `arg:"" help:"New data; - reads it from standard input."`
}

// Run performs the command.
func (cmd *setCmd) Run(c *console) error {
	data, err := argument(c, cmd.Data)
	if err != nil {
		return err
	}
	return cmd.with(c, func(ctx context.Context, s *client.Client) error {
		stat, err := s.SetData(ctx, cmd.Path, data, cmd.Version)
		if err != nil || cmd.Output != "json" {
			return err
		}
		return c.json(newZnode(cmd.Path, stat))
	})
}

// argument returns the data that an argument stands for.
func argument(c *console, s string) ([]byte, error) {
	if s != "-" {
		return []byte(s), nil
	}
	data, err := io.ReadAll(c.in)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return data, nil
}

// createCmd creates a znode.
type createCmd struct {
	target
	Ephemeral  bool          `short:"e" help:"It lives as long as this command, which runs until it is interrupted."`
	Sequential bool          `short:"s" help:"Append the parent's counter to the name."`
	Container  bool          `short:"c" help:"It goes when its last child has gone."`
	TTL        time.Duration `placeholder:"TIME" help:"It goes when it was not changed and had no children for this time."`
	ACL        string        `placeholder:"SCHEME:ID:PERMS,..." help:"Who may do what, PERMS out of cdrwa; all may do all when not given."`
	Path       string        `arg:"" help:"Path of the znode."`
	Data       string        `arg:"" optional:"" help:"Its data; - reads it from standard input."`
}

// mode returns the mode of the flags, or why there is none.
func (cmd *createCmd) mode() (wire.CreateMode, error) {
	switch {
	case cmd.TTL < 0:
		return 0, fmt.Errorf("--ttl=%v: want a positive time", cmd.TTL)
	case cmd.Ephemeral && (cmd.Container || cmd.TTL > 0), cmd.Container && (cmd.Sequential || cmd.TTL > 0):
		return 0, errors.New("only --sequential goes together with --ephemeral or --ttl, and nothing with --container")
	case cmd.Container:
		return wire.Container, nil
	case cmd.TTL > 0 && cmd.Sequential:
		return wire.PersistentSequentialTTL, nil
	case cmd.TTL > 0:
		return wire.PersistentTTL, nil
	case cmd.Ephemeral && cmd.Sequential:
		return wire.EphemeralSequential, nil
	case cmd.Ephemeral:
		return wire.Ephemeral, nil
	case cmd.Sequential:
		return wire.PersistentSequential, nil
	default:
		return wire.Persistent, nil
	}
}

// Validate is called by the command line's parser.
func (cmd *createCmd) Validate() error {
	if _, err := cmd.mode(); err != nil {
		return err
	}
	_, err := parseACL(cmd.ACL)
	return err
}

// Run performs the command.
func (cmd *createCmd) Run(c *console) error {
	mode, err := cmd.mode()
	if err != nil {
		return err
	}
	acl, err := parseACL(cmd.ACL)
	if err != nil {
		return err
	}
	data, err := argument(c, cmd.Data)
	if err != nil {
		return err
	}
	return cmd.with(c, func(ctx context.Context, s *client.Client) error {
		var made string
		var stat wire.Stat
		if cmd.TTL > 0 {
			made, stat, err = s.CreateTTL(ctx, cmd.Path, data, acl, mode, cmd.TTL)
		} else {
			made, stat, err = s.Create2(ctx, cmd.Path, data, acl, mode)
		}
		if err != nil {
			return err
		}
		if cmd.Output == "json" {
			err = c.json(newZnode(made, stat))
		} else {
			err = c.printf("%s\n", made)
		}
		if err == nil && cmd.Ephemeral {
			select {
			case <-c.ctx.Done():
			case <-s.Done():
				err = s.Err()
			}
		}
		return err
	})
}

// parseACL reads a list of scheme:id:perms. An id may hold colons itself. Empty: nil.
func parseACL(s string) ([]wire.ACL, error) {
	if s == "" {
		return nil, nil
	}
	var acl []wire.ACL
	for entry := range strings.SplitSeq(s, ",") {
		scheme, rest, _ := strings.Cut(entry, ":")
		last := strings.LastIndexByte(rest, ':')
		if last < 0 {
			return nil, fmt.Errorf("--acl: %q: want SCHEME:ID:PERMS, such as world:anyone:r", entry)
		}
		perms, ok := wire.ParsePerm(rest[last+1:])
		if !ok || perms == 0 {
			return nil, fmt.Errorf("--acl: %q: permissions are letters out of cdrwa, not %q", entry, rest[last+1:])
		}
		acl = append(acl, wire.ACL{Perms: perms, Scheme: scheme, ID: rest[:last]})
	}
	return acl, nil
}

// deleteCmd deletes a znode.
type deleteCmd struct {
	target
	Recursive bool   `short:"r" help:"Delete all below it too."`
	Version   int32  `short:"v" default:"-1" help:"Only when the znode has this version; -1: any."`
	Path      string `arg:"" help:"Path of the znode."`
}

// Validate is called by the command line's parser.
func (d *deleteCmd) Validate() error {
	if d.Recursive && d.Version != wire.AnyVersion {
		return errors.New("--recursive and --version do not go together")
	}
	return nil
}

// Run performs the command.
func (d *deleteCmd) Run(c *console) error {
	return d.with(c, func(ctx context.Context, s *client.Client) error {
		if !d.Recursive {
			return s.Delete(ctx, d.Path, d.Version)
		}
		if _, err := s.Exists(ctx, d.Path); err != nil {
			return err
		}
		return deleteTree(ctx, s, d.Path)
	})
}

// statCmd prints a Stat.
type statCmd struct {
	target
	Path string `arg:"" help:"Path of the znode."`
}

// Run performs the command.
func (cmd *statCmd) Run(c *console) error {
	return cmd.with(c, func(ctx context.Context, s *client.Client) error {
		stat, err := s.Exists(ctx, cmd.Path)
		if err != nil {
			return err
		}
		if cmd.Output == "json" {
			return c.json(newZnode(cmd.Path, stat))
		}
		return c.printf("%s", statText(stat))
	})
}

// fourLetterCmd asks a server about itself.
type fourLetterCmd struct {
	Timeout time.Duration `default:"10s" help:"Give up after this time."`
	Word    string        `arg:"" help:"The word: ruok srvr stat mntr conf cons dump envi wchs isro ..."`
	Server  string        `arg:"" optional:"" default:"127.0.0.1:2181" placeholder:"HOST:PORT" help:"The server."`
}

// Run performs the command.
func (f *fourLetterCmd) Run(c *console) error {
	ctx, cancel := context.WithTimeout(c.ctx, f.Timeout)
	defer cancel()
	answer, err := client.FourLetterWord(ctx, f.Server, f.Word)
	if err != nil {
		return err
	}
	return c.printf("%s\n", strings.TrimSuffix(answer, "\n"))
}
