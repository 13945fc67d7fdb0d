"""Copies of requests to a version whose answers nobody gets: chosen, run, compared, counted."""
