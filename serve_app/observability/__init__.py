"""What operators see: metrics through Ray's own exporter, and JSON log lines."""
