"""Rollouts of good and bad versions on a service that runs, while clients ask it."""
