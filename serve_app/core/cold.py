"""Versions that aren't in memory, and are loaded when somebody asks for them."""

from collections import deque
from collections.abc import AsyncGenerator

from serve_app.core.lanes import Who
from serve_app.core.target import Target
from serve_app.core.version import Version
from serve_app.errors import NOT_HERE, Gone
from serve_app.protocol.metadata import ModelDescription, VersionDescription
from serve_app.protocol.tensors import Arrays, InferRequest, Parameters

UNKNOWN = VersionDescription([], [])
ANY = ""  # the number of a version while nobody has looked which there are
RETRY_S = 1.0  # who couldn't wait until it is loaded may ask again then


class Cold(Version):
    """Takes requests, and has each look for the version that will be loaded in its place."""

    cold = True

    def _queue(self, slots: int, spare: int) -> None:
        """None: nothing is run here."""

    def serves(self, about: ModelDescription, target: Target) -> bool:
        """Never what another would be."""
        return False

    @property
    def known(self) -> bool:
        """Whether its signature is: it was loaded before."""
        return bool(self.signature.inputs or self.signature.outputs)

    async def predict(self, request: InferRequest, who: Who | None = None) -> Arrays:
        """Gone: others answer."""
        raise self._gone()

    async def stream(self, request: InferRequest) -> AsyncGenerator[tuple[Arrays, bool], None]:
        """Gone, too."""
        raise self._gone()
        yield

    def _gone(self) -> Gone:
        return Gone(f"model '{self.model}' is not ready: {NOT_HERE}")


class _Nowhere:
    """Where nothing runs."""

    async def predict(self, inputs: Arrays, parameters: Parameters) -> Arrays:
        """Never asked."""
        raise Gone(NOT_HERE)


NOWHERE = Target(_Nowhere(), uncancellable=True)


class Coldness:
    """What became of models that are loaded when they are asked for, since this process began.

    `waits`: seconds that requests waited, not yet handed on.
    """

    def __init__(self) -> None:
        self.loads = self.evictions = 0
        self.waits = deque[float](maxlen=10_000)
