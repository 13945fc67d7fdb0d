"""Tandem and its peers, measured side by side: `make bench`, or `python -m loadtests.bench`.

`points` says what is sent, `servers` starts who answers, `generators` sends it, `session` takes
the rounds, `report` turns them into ratios.
"""
