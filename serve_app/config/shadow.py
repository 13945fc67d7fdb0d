"""Which requests are copied to a version whose answers nobody gets, and how those are compared."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from serve_app.config.base import Config, Place, refuse
from serve_app.config.policy import version_text

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


class Tolerance(Config):
    """What counts as the same in one output. Numbers with a point are compared as `torch.testing` does
    by their type, everything else exactly, unless one of these says otherwise.
    """

    rtol: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """How far a number may be off: by atol, and rtol times the size of the answer's own."""
    atol: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """As rtol says. One of the two alone makes the other 0."""
    cosine: float | None = Field(default=None, ge=-1, le=1)
    """For embeddings: the least cosine similarity of two vectors, which are the last dimension."""
    agreement: float | None = Field(default=None, ge=0, le=1)
    """For texts: the least share of tokens (words and punctuation) that both begin with."""
    ignore: bool = False
    """Whether the output isn't compared."""

    @model_validator(mode="after")
    def _one(self) -> "Tolerance":
        refuse("tolerance", self._wrong())
        return self

    def _wrong(self) -> Iterator[tuple[Place, str]]:
        ways = {
            "rtol and atol": self.rtol is not None or self.atol is not None,
            "cosine": self.cosine is not None,
            "agreement": self.agreement is not None,
            "ignore": self.ignore,
        }
        said = [name for name, there in ways.items() if there]
        if len(said) > 1:
            yield (), f"an output is compared in one way, and here are {' and '.join(said)}"


class Shadow(Config):
    """Of one model. What is copied takes no place, counter or log line of the requests themselves."""

    version: str
    """The version that gets the copies. It has to be loaded beside the one that answers."""
    percent: float = Field(default=100, ge=0, le=100, allow_inf_nan=False)
    """How many of the requests that others of the model's versions answered are copied."""
    max_queued: int = Field(default=100, ge=1, le=100_000)
    """Copies that wait in one Router; further ones are dropped and counted."""
    concurrency: int = Field(default=1, ge=1, le=1024)
    """Copies that one Router runs at a time."""
    max_bytes: int = Field(default=64 * 2**20, ge=2**16)
    """Memory for the copies in one Router, with the answers that they are compared with."""
    timeout: float = Field(default=60, gt=0, allow_inf_nan=False)
    """Seconds that a copy may take; for texts of LLMs, until the first piece."""
    outputs: dict[str, Tolerance] = {}
    """What counts as the same, by the name of the output."""
    examples: int = Field(default=0, ge=0, le=100)
    """How many requests with differing answers each Router keeps, inputs and answers cut. They hold what
    users sent, so none are kept unless it is said.
    """

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, said: Any) -> Any:
        text = version_text(said)
        if not isinstance(text, str) or not _NUMBER.fullmatch(text):
            raise ValueError(f"a version is a positive integer, got {said!r}")
        return text
