"""How the requests of one model that name no version are shared among its versions."""

import math
import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from serve_app.config.base import Config, Place, refuse
from serve_app.config.policy import version_text

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EXACT = 1e-6  # percent


def _header(said: str | None) -> str | None:
    if said is not None and not _HEADER.fullmatch(said):
        raise ValueError(f"{said!r} is not the name of a header")
    return said


class Match(Config):
    """Requests that have this go to that version, whatever its weight: for testers."""

    header: str | None = None
    """The name of a header, or of a key of gRPC's metadata, in any case."""
    parameter: str | None = Field(default=None, min_length=1)
    """The name of a parameter; of OpenAI's requests, of a key of the body."""
    principal: str | None = Field(default=None, min_length=1)
    """Who asks, by the name that authentication gave."""
    value: str | list[str] | None = None
    """What the header or the parameter has to say, or one of several. Without it, that it is there."""
    version: str
    """The version that answers."""

    @field_validator("version", mode="before")
    @classmethod
    def _number(cls, said: Any) -> Any:
        text = version_text(said)
        if not isinstance(text, str) or not _NUMBER.fullmatch(text):
            raise ValueError(f"a version is a positive integer, got {said!r}")
        return text

    @field_validator("header")
    @classmethod
    def _name(cls, said: str | None) -> str | None:
        return _header(said)

    @model_validator(mode="after")
    def _one(self) -> "Match":
        refuse("match", self._wrong())
        return self

    def _wrong(self) -> Iterator[tuple[Place, str]]:
        said = [one for one in ("header", "parameter", "principal") if getattr(self, one) is not None]
        if len(said) != 1:
            found = " and ".join(said) or "none of them"
            yield (), f"expected one of header, parameter and principal, got {found}"
        if self.principal is not None and self.value is not None:
            yield ("value",), "a principal is matched by its name: there is nothing else to compare"
        if self.value == []:
            yield ("value",), "an empty list matches nothing"

    @property
    def values(self) -> frozenset[str] | None:
        """What may stand there; None for anything."""
        said = self.value
        return None if said is None else frozenset([said] if isinstance(said, str) else said)


class Sticky(Config):
    """What one user's requests have in common: they get the same version each time."""

    header: str | None = None
    """The name of a header, or of a key of gRPC's metadata, in any case."""
    parameter: str | None = Field(default=None, min_length=1)
    """The name of a parameter; of OpenAI's requests, of a key of the body, as `user`."""
    input: str | None = Field(default=None, min_length=1)
    """The name of an input tensor, by its first element."""
    principal: bool = False
    """Who asks, by the name that authentication gave."""

    @field_validator("header")
    @classmethod
    def _name(cls, said: str | None) -> str | None:
        return _header(said)

    @model_validator(mode="after")
    def _one(self) -> "Sticky":
        said = [one for one in ("header", "parameter", "input") if getattr(self, one) is not None]
        said += ["principal"] if self.principal else []
        if len(said) != 1:
            found = " and ".join(said) or "none of them"
            text = f"expected one of header, parameter, input and principal, got {found}"
            refuse("sticky", [((), text)])
        return self


class Traffic(Config):
    """Of one model. A request that names a version gets that one."""

    weights: dict[str, float] = {}
    """Percent of the requests, by version; together 100. A version with 0 is loaded and gets only
    requests that name it, or that `match` sends there.
    """
    match: list[Match] = []
    """Requests that go to a version whatever its weight; the first entry that fits."""
    sticky: list[Sticky] = []
    """What a user is known by: the first entry that a request has. One that has none is shared anew."""

    @field_validator("sticky", mode="before")
    @classmethod
    def _several(cls, said: Any) -> Any:
        return [said] if isinstance(said, dict) else said

    @field_validator("weights", mode="before")
    @classmethod
    def _weights(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            raise ValueError('expected versions and percents, as in {"1": 95, "2": 5}')
        texts = [version_text(one) for one in said]
        if twice := next((one for one in texts if texts.count(one) > 1), None):
            raise ValueError(f"version {twice} is there twice")
        return dict(zip(texts, said.values(), strict=True))

    @model_validator(mode="after")
    def _whole(self) -> "Traffic":
        refuse("traffic", self._wrong())
        return self

    def _wrong(self) -> Iterator[tuple[Place, str]]:
        for version, weight in self.weights.items():
            if not _NUMBER.fullmatch(version):
                yield ("weights", version), f"a version is a positive integer, got {version!r}"
            if isinstance(weight, bool) or not 0 <= weight <= 100:  # NaN is neither
                yield ("weights", version), f"expected a percent, 0 to 100, got {weight:g}"
        total = math.fsum(self.weights.values())
        if self.weights and not abs(total - 100) <= _EXACT:
            yield ("weights",), f"the weights have to make 100 together, they make {total:g}"
        if not self.weights and not self.match:
            yield (), "expected weights, or match"
        if self.sticky and not self.weights:
            yield ("sticky",), "there are no weights by which a user could be given a version"

    @property
    def versions(self) -> dict[Place, str]:
        """Every version that it names, by the place where it does."""
        named: dict[Place, str] = {("weights", one): one for one in self.weights}
        return named | {("match", at, "version"): one.version for at, one in enumerate(self.match)}
