package jute_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport/jute"
)

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"false", jute.AppendBool(nil, false), "\x00"},
		{"true", jute.AppendBool(nil, true), "\x01"},
		{"int", jute.AppendInt(nil, -2), "\xff\xff\xff\xfe"},
		{"long", jute.AppendLong(nil, 0x0102030405060708), "\x01\x02\x03\x04\x05\x06\x07\x08"},
		{"buffer", jute.AppendBuffer(nil, []byte("ab")), "\x00\x00\x00\x02ab"},
		{"empty buffer", jute.AppendBuffer(nil, []byte{}), "\x00\x00\x00\x00"},
		{"null buffer", jute.AppendBuffer(nil, nil), "\xff\xff\xff\xff"},
		{"string", jute.AppendString(nil, "é"), "\x00\x00\x00\x02\xc3\xa9"},
		{"empty string", jute.AppendString(nil, ""), "\x00\x00\x00\x00"},
	} {
		require.Equal(t, c.want, string(c.got), c.name)
	}
}

// A decoder reads back what was appended, in order, for any sequence of fields.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		var checks []func(d *jute.Decoder)
		for range rapid.IntRange(0, 20).Draw(t, "fields") {
			switch rapid.IntRange(0, 4).Draw(t, "type") {
			case 0:
				v := rapid.Bool().Draw(t, "bool")
				b = jute.AppendBool(b, v)
				checks = append(checks, func(d *jute.Decoder) { require.Equal(t, v, d.Bool()) })
			case 1:
				v := rapid.Int32().Draw(t, "int")
				b = jute.AppendInt(b, v)
				checks = append(checks, func(d *jute.Decoder) { require.Equal(t, v, d.Int()) })
			case 2:
				v := rapid.Int64().Draw(t, "long")
				b = jute.AppendLong(b, v)
				checks = append(checks, func(d *jute.Decoder) { require.Equal(t, v, d.Long()) })
			case 3:
				var v []byte
				if rapid.Bool().Draw(t, "not null") {
					v = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "buffer")...)
				}
				b = jute.AppendBuffer(b, v)
				checks = append(checks, func(d *jute.Decoder) { require.Equal(t, v, d.Buffer()) })
			case 4:
				v := rapid.String().Draw(t, "string")
				b = jute.AppendString(b, v)
				checks = append(checks, func(d *jute.Decoder) { require.Equal(t, v, d.String()) })
			}
		}
		d := jute.NewDecoder(b)
		for _, check := range checks {
			check(&d)
		}
		require.NoError(t, d.Err())
		require.Zero(t, d.Len())
	})
}

func TestFirstFaultSticks(t *testing.T) {
	d := jute.NewDecoder([]byte{0, 0, 0, 9, 'a', 'b', 0, 0, 0, 1})
	require.Nil(t, d.Buffer())
	require.ErrorIs(t, d.Err(), jute.ErrShort)
	require.Zero(t, d.Int())
	require.Zero(t, d.Long())
	require.Zero(t, d.Byte())
	require.Empty(t, d.String())
	require.Zero(t, d.Count(1))
	require.Empty(t, d.Rest())
	d.Fail(nil)
	require.ErrorIs(t, d.Err(), jute.ErrShort)
}

func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want []byte
		ok   bool
	}{
		{"null", "\xff\xff\xff\xff", nil, true},
		{"empty at the end", "\x00\x00\x00\x00", []byte{}, true},
		{"below null", "\xff\xff\xff\xfe", nil, false},
		{"the least", "\x80\x00\x00\x00", nil, false},
		{"one too many", "\x00\x00\x00\x02a", nil, false},
		{"no length", "\x00\x00", nil, false},
	} {
		d := jute.NewDecoder([]byte(c.in))
		require.Equal(t, c.want, d.Buffer(), c.name)
		require.Equal(t, c.ok, d.Err() == nil, c.name)
	}
	// Nobody can append to a buffer and so change what follows it.
	d := jute.NewDecoder([]byte("\x00\x00\x00\x01axyz"))
	b := d.Buffer()
	require.Equal(t, len(b), cap(b))
}

func TestCounts(t *testing.T) {
	for _, c := range []struct {
		count int32
		bytes int
		size  int
		want  int
		ok    bool
	}{
		{-1, 0, 4, -1, true},
		{0, 0, 4, 0, true},
		{2, 8, 4, 2, true},
		{2, 7, 4, 0, false},
		{-2, 100, 4, 0, false},
		{0x7fffffff, 100, 1, 0, false},
	} {
		d := jute.NewDecoder(append(jute.AppendInt(nil, c.count), make([]byte, c.bytes)...))
		require.Equal(t, c.want, d.Count(c.size), c)
		require.Equal(t, c.ok, d.Err() == nil, c)
	}
}

// FuzzDecoder runs a program of reads, one an input byte, over arbitrary bytes.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6}, []byte("\x00\x00\x00\x03abc\xff\xff\xff\xff\x00\x00\x00\x7f"))
	f.Add([]byte{3, 3, 5}, []byte("\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, program, b []byte) {
		d := jute.NewDecoder(b)
		for _, op := range program {
			before, failed := d.Len(), d.Err() != nil
			switch op % 7 {
			case 0:
				d.Bool()
			case 1:
				d.Int()
			case 2:
				d.Long()
			case 3:
				if v := d.Buffer(); len(v) > before || failed && v != nil {
					t.Fatalf("%d bytes out of %d, failed before: %v", len(v), before, failed)
				}
			case 4:
				if s := d.String(); len(s) > before {
					t.Fatalf("%d bytes out of %d", len(s), before)
				}
			case 5:
				if n := d.Count(4); n < -1 || n > before/4 {
					t.Fatalf("count %d out of %d bytes", n, before)
				}
			case 6:
				d.Skip(int(op) / 7)
			}
			if d.Len() > before || failed && d.Err() == nil || d.Err() != nil && d.Len() != 0 {
				t.Fatalf("after a fault: %d bytes left, error %v", d.Len(), d.Err())
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	b := make([]byte, 0, 64)
	value := []byte("value")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b = jute.AppendBuffer(jute.AppendLong(jute.AppendInt(jute.AppendBool(b[:0], true), 7), 8), value)
		d := jute.NewDecoder(b)
		if !d.Bool() || d.Int() != 7 || d.Long() != 8 || len(d.Buffer()) != len(value) || d.Err() != nil {
			panic("not what was appended")
		}
	}))
}
