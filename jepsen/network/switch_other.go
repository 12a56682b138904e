//go:build !linux

package network

import "errors"

// NewSwitch says that there are no namespaces here.
func NewSwitch(int) (*Proxies, error) {
	return nil, errors.New("network: namespaces need Linux")
}
