"""The load generator of the benchmark and the comparison: thin, in processes of its own.

A request is encoded before the run and sent as it is; what comes back is timed, counted, and checked
outside the measured time.
"""
