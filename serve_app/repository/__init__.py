"""Models on disk: from a storage URI to verified local version folders."""
