"""The demo models of configs/quickstart.yaml, made on the spot: no model hub is asked."""
