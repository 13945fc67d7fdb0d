"""What the start of a node of Ray's costs."""

# CPUs to ask for, by whether it is a head, so that Ray's agents are up within the 30 s that they have.
# Measured: docs/deploy.md.
LEAST_CPU = {True: "500m", False: "300m"}
