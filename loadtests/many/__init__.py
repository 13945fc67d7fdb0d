"""A thousand models, a few of them in memory: what that costs those that are."""
