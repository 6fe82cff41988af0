"""The network in the flat layout, its initial values, and its folder on disk."""
