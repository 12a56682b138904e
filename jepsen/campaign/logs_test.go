package campaign

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of a long log both ends are kept and what is near a fault or a violation, and it is said what is not.
func TestLongLog(t *testing.T) {
	began := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "time=%s level=INFO msg=line n=%d\n", began.Add(time.Duration(i)*10*time.Millisecond).Format(time.RFC3339Nano), i)
		if i == 3000 {
			b.WriteString("without a time\nmsg=role\n")
		}
	}
	all := scanLog(strings.NewReader(b.String()), 2, began)
	require.Len(t, all, 10_002)
	require.Equal(t, all[3000].At, all[3001].At)
	require.Equal(t, all, pertinent(all, nil, 20_000, 300))

	fault := began.Add(70 * time.Second)
	kept := pertinent(all, []time.Time{fault, fault.Add(time.Second)}, 400, 50)
	texts, left := map[string]bool{}, 0
	for i, l := range kept {
		texts[l.Text[strings.LastIndexByte(l.Text, ' ')+1:]] = true
		var n int
		if _, err := fmt.Sscanf(l.Text, "… %d lines", &n); err == nil {
			left += n
		}
		require.True(t, i == 0 || !l.At.Before(kept[i-1].At))
	}
	require.Equal(t, 10_002-400, left)
	for _, n := range []int{0, 49, 9950, 9999, 6999, 7000, 7001, 7100, 7150} {
		require.True(t, texts[fmt.Sprintf("n=%d", n)], "line %d is missing", n)
	}
	require.True(t, texts["msg=role"], "who led is always of interest")
	require.False(t, texts["n=5000"])
	require.Contains(t, kept[50].Text, "lines are left out here")
	require.Equal(t, 2, kept[50].Server)
	last := pertinent(all, []time.Time{began}, 400, 0)
	require.Contains(t, last[len(last)-1].Text, "lines are left out here")
}
