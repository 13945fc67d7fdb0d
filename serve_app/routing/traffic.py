"""Sharing one model's requests among its versions: by match, by a user's hash, or by turns. Pure.

A user's version is found by weighted rendezvous hashing (Thaler & Ravishankar 1998; the weights as by
Schindelhauer & Schomaker 2005): each version draws a number from the user's key, and the largest wins.
From one set of weights to another a key moves only to a version whose weight grew in proportion to the
one it had: as one version's share grows, no key leaves it.

Other requests take turns along a sequence of the golden ratio: of any n in a row a version gets its
share to within a few, whichever n they are, and no rhythm of a client's meets one version only.
"""

import hashlib
import math
import random
from collections.abc import Callable, Container, Iterable, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

from serve_app.config import Match, Sticky, Traffic

_TURN = (math.sqrt(5) - 1) / 2
_HASHES, _MOST = 2.0**64, 2**64 - 1
# Of the users that came last, in so many characters: to draw takes longer than to look up.
_REMEMBERED, _LONGEST = 16_384, 128
_random = random.Random()  # noqa: S311 - where a Router begins is no secret


class Asking(Protocol):
    """A request, as far as sharing asks (serve_app.core.call)."""

    @property
    def principal(self) -> str:
        """Who asks; '' for unknown."""
        ...

    def header(self, names: Container[str | bytes]) -> str:
        """What it says under one of `names`, in lower case; '' for nothing."""
        ...

    def parameter(self, name: str) -> str:
        """The same of its parameters."""
        ...

    def first(self, name: str) -> str:
        """The first element of an input."""
        ...


class Split:
    """One model's traffic, over those of its versions that are ready.

    A version that isn't leaves its share to the others, in proportion.
    """

    def __init__(self, model: str, traffic: Traffic, ready: Iterable[str] = ()) -> None:
        self.traffic = traffic
        self._hash = hashlib.blake2b(model.encode() + b"\0", digest_size=8)
        self._sticky = list(map(_keyed, traffic.sticky))
        self._at = _random.random()
        self.over(ready)

    def over(self, ready: Iterable[str]) -> None:
        """Share among these from now on."""
        there = set(ready)
        self._match = [(_asked(one), one) for one in self.traffic.match if one.version in there]
        self._weights = {
            number: weight
            for number, weight in self.traffic.weights.items()
            if weight > 0 and number in there
        }
        total = math.fsum(self._weights.values())
        ends = accumulate(weight / total for weight in self._weights.values())
        self._ends = list(zip(ends, self._weights, strict=True))
        self._draws = [(weight, _salt(number), number) for number, weight in self._weights.items()]
        self._remembered = lru_cache(_REMEMBERED)(self._drawn)

    @property
    def by_body(self) -> bool:
        """Whether what stands in a request's body decides, too."""
        return any(one.parameter or one.input for one in self.traffic.sticky) or any(
            one.parameter for one in self.traffic.match
        )

    @property
    def main(self) -> str:
        """The ready version with most of the requests, of several the newest; '' for none."""
        return max(self._weights, key=lambda one: (self._weights[one], int(one)), default="")

    @property
    def shares(self) -> Mapping[str, float]:
        """Percent of the requests that each ready version gets."""
        total = math.fsum(self._weights.values())
        return {number: weight * 100 / total for number, weight in self._weights.items()}

    def version(self, call: Asking) -> str:
        """The version that answers a request which names none; '' where no share is ready."""
        if self._match and (found := self.matched(call)):
            return found
        if not self._ends:
            return ""
        for keyed in self._sticky:
            if key := keyed(call):
                return self.of(key)
        self._at = at = (self._at + _TURN) % 1.0
        for end, number in self._ends:
            if at < end:
                return number
        return self._ends[-1][1]  # a sum's last digit short of 1

    def matched(self, call: Asking) -> str:
        """The version that a request goes to whatever the weights; '' for none."""
        for asked, rule in self._match:
            if (found := asked(call)) and (rule.values is None or found in rule.values):
                return rule.version
        return ""

    def of(self, key: str) -> str:
        """The version of a user; the same in every process."""
        return self._remembered(key) if len(key) <= _LONGEST else self._drawn(key)

    def _drawn(self, key: str) -> str:
        if len(self._draws) == 1:
            return self._draws[0][2]
        hashing = self._hash.copy()
        hashing.update(key.encode("utf-8", "surrogateescape"))
        hashed = int.from_bytes(hashing.digest())
        found, least = "", math.inf
        for weight, salt, number in self._draws:
            # As SplitMix64 ends: each version draws another number from one hash.
            drawn = (hashed + salt) & _MOST
            drawn = ((drawn ^ drawn >> 30) * 0xBF58476D1CE4E5B9) & _MOST
            drawn = ((drawn ^ drawn >> 27) * 0x94D049BB133111EB) & _MOST
            score = -math.log(((drawn ^ drawn >> 31) + 0.5) / _HASHES) / weight
            if score < least:
                found, least = number, score
        return found


def _salt(number: str) -> int:
    return int.from_bytes(hashlib.blake2b(number.encode(), digest_size=8).digest())


def _names(header: str) -> frozenset[str | bytes]:
    """As HTTP's headers come, and gRPC's metadata."""
    return frozenset({header.lower(), header.lower().encode()})


def _asked(rule: Match) -> Callable[[Asking], str]:
    if rule.header is not None:
        names = _names(rule.header)
        return lambda call: call.header(names)
    if (parameter := rule.parameter) is not None:
        return lambda call: call.parameter(parameter)
    return lambda call: call.principal if call.principal == rule.principal else ""


def _keyed(sticky: Sticky) -> Callable[[Asking], str]:
    if sticky.header is not None:
        names = _names(sticky.header)
        return lambda call: call.header(names)
    if (parameter := sticky.parameter) is not None:
        return lambda call: call.parameter(parameter)
    if (tensor := sticky.input) is not None:
        return lambda call: call.first(tensor)
    return lambda call: call.principal
