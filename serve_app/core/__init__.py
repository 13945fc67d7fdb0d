"""What serves, without Ray and without HTTP: calls, versions, the pipeline, batching."""
