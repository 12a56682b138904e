package tree

// Freed slots and blocks are poisoned in every test of this package.
func init() { poisonFreed = true }

// LiveViews is how many views the tree keeps its chunks for.
func (t *Tree) LiveViews() int { return len(t.gen.live) }
