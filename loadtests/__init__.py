"""Load on a running server, every answer checked. `make load`, or locust's own command line."""
