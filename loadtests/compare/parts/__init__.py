"""What is measured: every part measures, and later makes its section of the report from the results."""
