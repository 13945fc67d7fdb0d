"""Which version of a model answers. Pure logic."""
