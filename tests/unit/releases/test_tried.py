"""When every model that is configured has been tried once, which is when a server is ready."""

import pytest

from serve_app.releases.reconcile import Actual, Desired, tried
from tests.unit.releases.test_reconcile import A, B, app, models

M = app()


def wanted(*apps, inline=(), generation: int = 1) -> Desired:
    return Desired(generation, models(*inline), {one.name: one for one in apps})


@pytest.mark.parametrize(
    ("desired", "actual", "is_so"),
    [
        (wanted(generation=0), Actual(generation=0), False),  # no configuration yet
        (wanted(), Actual(generation=0), False), (wanted(), Actual(generation=1), True),
        (wanted(inline=[A, B]), Actual(generation=0, inline=models(A), loading="b"), False),
        (wanted(inline=[A, B]), Actual(generation=1, inline=models(A), failed={"b": 1}), True),
        (wanted(M), Actual(generation=1), False),
        (wanted(M), Actual(generation=0, described={"m": M}), False),
        (wanted(M), Actual(generation=1, describing={"m"}, expected={"m"}), False),
        (wanted(M), Actual(generation=1, described={"m": M}), True),
        (wanted(M), Actual(generation=1, described={"m": None}), True),  # refused, or to be asked again
        (wanted(M, app("n")), Actual(generation=1, described={"m": M}), False),
        (wanted(M, app("n")), Actual(generation=1, described={"m": M, "n": None}), True),
        # Still being built.
        (wanted(app(ingress="", status="DEPLOYING", running=0)), Actual(generation=1), False),
        (wanted(app("a", model="a"), inline=[A]), Actual(generation=1, inline=models(A)), True),
    ],
)  # fmt: skip
def test_tried(desired, actual, is_so):
    assert tried(desired, actual) is is_so
