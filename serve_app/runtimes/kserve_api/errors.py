"""What a transformer raises on purpose."""

from serve_app.errors import InvalidArgument


class InvalidInput(InvalidArgument, ValueError):
    """The client's fault."""


class InferenceError(RuntimeError):
    """The model's."""
