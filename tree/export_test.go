package tree

// Freed slots and blocks are poisoned in every test of this package.
func init() { poisonFreed = true }
