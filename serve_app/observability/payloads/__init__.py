"""Requests and answers on their way to loggers, as CloudEvents in the form of KServe's logger."""
