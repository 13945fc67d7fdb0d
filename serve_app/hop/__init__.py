"""The way to replicas, both ends: batches and streams over the replicas' own HTTP servers."""
