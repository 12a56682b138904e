package tree

import "quoll/tree/slab"

// Freed slots and blocks are poisoned in every test of this package.
func init() { slab.PoisonFreed = true }

// LiveViews is how many views the tree keeps its chunks for.
func (t *Tree) LiveViews() int { return t.gen.Views() }
