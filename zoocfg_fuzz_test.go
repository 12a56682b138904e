package quoll

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a zoo.cfg says, it is read or refused with messages of one line each; what was read is
// sound and its membership reads back from the text that clients are shown.
func FuzzReadConfig(f *testing.F) {
	f.Add("dataDir=/d\nclientPort=2181\n", "zookeeper.snapCount=7")
	f.Add("dataDir=/d\nserver.1=a:1:2;2181\nserver.2=[::1]:1:2:observer;[::]:3\nserver.3=b:1:2|c:1:2;;4\nstandaloneEnabled=false", "")
	f.Add("dataDir=/d\nclientPort=1\ndynamicConfigFile=/dyn\n", "jute.maxbuffer=0x10")
	f.Add("dataDir=/d\nclientPort=1\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\ngroup.1=1:2\ngroup.2=3\nweight.3=2", "x")
	f.Add("tickTime=\\u0031\\\n0 \ncnxTimeout : -1\nssl.x\nticktime=3", "zookeeper.tickTime=1")
	f.Fuzz(func(t *testing.T, text, define string) {
		readFile := func(name string) ([]byte, error) {
			if strings.HasSuffix(name, "myid") {
				return []byte("1\n"), nil
			}
			return nil, fs.ErrNotExist
		}
		cfg, warnings, err := readConfig("zoo.cfg", []byte(text), []string{define}, readFile)
		for _, w := range warnings {
			require.NotEmpty(t, w.Text)
			require.NotEmpty(t, w.File)
		}
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, cfg.Validate())
		if cfg.Standalone() {
			return
		}
		members := "dataDir=/d\nstandaloneEnabled=false\nclientPort=65000\n" + strings.TrimSuffix(cfg.ConfigText(), "version=0")
		if self, _ := cfg.Self(); self.ClientAddress != "" {
			members = strings.Replace(members, "clientPort=65000", "", 1)
		}
		again, _, err := readConfig("zoo.cfg", []byte(members), nil, readFile)
		require.NoError(t, err)
		require.Equal(t, cfg.Servers, again.Servers)
		require.Equal(t, cfg.ConfigText(), again.ConfigText())
	})
}
