"""What the start of a node of Ray's costs. Measured: docs/deploy.md."""

# CPUs to ask for, by whether it is a head. With so much of a CPU Ray's agents were up within a third of
# the 30 s that they have, on a machine of 2026; others may be three times as slow.
LEAST_CPU = {True: "400m", False: "200m"}
