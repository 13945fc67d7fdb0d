"""Two servers of the same models, side by side: same clients, interleaved rounds, one report."""
