"""The node's cache under faults, and what a start out of it takes. `python -m loadtests.storage`."""
