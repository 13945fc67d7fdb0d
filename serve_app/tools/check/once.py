"""One mistake is said once: what the API server refuses never comes as far as the operator."""

import re
from collections.abc import Sequence

from serve_app.tools.kube.findings import Place, Problem

REFUSED = "the API server refuses it"
_ABSENT = re.compile("'(.+)' is required, but not there")


def misspelt(unknown: Sequence[Problem], wrong: Sequence[Problem]) -> list[Problem]:
    """What is wrong without the fields that are missing because their names are misspelt."""
    meant = {(*one.place[:-1], one.fix) for one in unknown if one.fix}
    return [one for one in wrong if _absent(one) not in meant]


def news(found: Sequence[Problem], more: Sequence[Problem]) -> list[Problem]:
    """Of what further rules find, what isn't about a part that is refused or missing already."""
    places = {_absent(one) or one.place for one in found if one.why == REFUSED}
    return [
        one for one in more if not any(one.place[:end] in places for end in range(1, len(one.place) + 1))
    ]


def _absent(one: Problem) -> Place:
    """Where a field should be that is required; () for other problems."""
    found = _ABSENT.fullmatch(one.what)
    return (*one.place, found[1]) if found else ()
