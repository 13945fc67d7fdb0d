"""`tandem batch`: many rows through a model, without a service, by Ray Data.

The input is cut into pieces. Each is read, predicted and written by one actor that holds the model, and
counts as finished when a record of it lies beside the output: what is stopped goes on from there.
"""
