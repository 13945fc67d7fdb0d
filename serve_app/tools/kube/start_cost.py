"""What the start of a node of Ray's costs. Measured: docs/deploy.md."""

# CPUs to ask for, by whether it is a head. With so much of one the node's agent was up within a third of
# the 30 s that it has: another machine may be three times as slow.
LEAST_CPU = {True: "300m", False: "200m"}
