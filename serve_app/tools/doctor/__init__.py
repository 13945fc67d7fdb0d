"""`tandem doctor`: why a service isn't ready, and what to do next."""
