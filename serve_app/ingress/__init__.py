"""The protocol edge: HTTP and gRPC onto the data plane."""
