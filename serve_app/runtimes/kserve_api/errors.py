"""What a transformer raises on purpose: those of `kserve.errors` by name, constructor and text.

`raised.py` says how each is answered.
"""

from typing import Any

from serve_app.errors import InvalidArgument


class ModelMissingError(Exception):
    """A model's files aren't there."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class InferenceError(RuntimeError):
    """The model's."""

    def __init__(self, reason: Any, status: str | None = None, debug_details: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.status, self.debug_details = reason, status, debug_details

    def __str__(self) -> str:
        return f"[{self.status}] {self.reason}" if self.status is not None else str(self.reason)


class InvalidInput(InvalidArgument, ValueError):
    """The client's fault."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason


class _Said(Exception):
    """Says its `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ModelNotFound(_Said):
    """No model of that name."""

    def __init__(self, model_name: str | None = None) -> None:
        super().__init__(f"Model with name {model_name} does not exist.")


class WorkersShouldBeLessThanMaxWorkersError(_Said):
    """More workers than may be."""

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__(f"Workers cannot be greater than {max_workers}")


class UnsupportedProtocol(_Said):
    """It isn't known here."""

    def __init__(self, protocol_version: str | None = None) -> None:
        super().__init__(f"Unsupported protocol {protocol_version}.")


class _Not(RuntimeError):
    """Says its `error_msg`, with more behind it where that is given."""

    def __init__(self, text: str, detail: str | None) -> None:
        self.error_msg = f"{text} {detail}" if detail else text
        super().__init__(self.error_msg)


class ModelNotReady(_Not):
    """The model can't answer now."""

    def __init__(self, model_name: str, detail: str | None = None) -> None:
        super().__init__(f"Model with name {model_name} is not ready.", detail)
        self.model_name = model_name


class ServerNotReady(_Not):
    """Nothing can answer now."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__("Server is not ready.", detail)


class ServerNotLive(_Not):
    """It is ending."""

    def __init__(self, detail: str | None = None) -> None:
        super().__init__("Server is not live.", detail)


class NoModelReady(_Not):
    """None of these models can answer."""

    def __init__(self, models: Any, detail: str | None = None) -> None:
        names = [model.name for model in models]
        one, many = "Model with name {} is not ready.", "Models with names {} are not ready."
        super().__init__((one if len(names) == 1 else many).format(",".join(names)), detail)
        self.models, self.detail = models, detail


EXCEPTIONS: dict[str, type[Exception]] = {
    one.__name__: one
    for one in (
        ModelMissingError, InferenceError, InvalidInput, ModelNotFound, ModelNotReady, NoModelReady,
        ServerNotLive, ServerNotReady, UnsupportedProtocol, WorkersShouldBeLessThanMaxWorkersError,
    )
}  # fmt: skip
