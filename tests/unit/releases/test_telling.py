"""Whom of an application's replicas a Router tells to look at their files: a table."""

import dataclasses

import pytest

from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import Actual, Describe, Desired, Resize, Tell, reconcile
from serve_app.releases.telling import NEVER, deployed, untold

AB, A, NOBODY = frozenset("ab"), frozenset("a"), frozenset[str]()


def app(stamp: float = 2.0, replicas: frozenset[str] = AB, status: str = "RUNNING") -> RemoteApp:
    return RemoteApp("m", "ModelReplica", status, "", len(replicas), stamp, "m", (), replicas)


@pytest.mark.parametrize(
    ("one", "told", "paused", "found"),
    [
        (app(), {}, (), (False, False)),  # what it is isn't known yet
        (app(), {"m": (NEVER, NOBODY)}, (), (False, True)),  # new to this Router
        (app(replicas=NOBODY), {"m": (NEVER, NOBODY)}, (), (False, False)),  # at zero
        (app(), {"m": (2.0, AB)}, (), (False, False)),
        (app(replicas=A), {"m": (2.0, AB)}, (), (False, False)),  # one went
        (app(), {"m": (2.0, A)}, (), (False, True)),  # one came, or wasn't reached
        (app(), {"m": (2.0, A)}, ("m",), (False, False)),  # not at once again
        (app(), {"m": (2.0, A)}, ("n",), (False, True)),
        (app(3.0), {"m": (2.0, AB)}, (), (True, True)),  # a deploy
        (app(3.0), {"m": (2.0, AB)}, ("m",), (True, True)),
        (app(3.0, NOBODY), {"m": (2.0, AB)}, (), (False, False)),
        (app(3.0, status="DEPLOYING"), {"m": (2.0, AB)}, (), (False, False)),  # when it is settled
    ],
)
def test_who_is_told(one, told, paused, found):
    assert (deployed(one, told), untold(one, told, paused)) == found


@pytest.mark.parametrize(
    ("one", "changes", "steps"),
    [
        (app(), {"told": {"m": (2.0, AB)}}, []),
        (app(), {"told": {"m": (2.0, A)}}, [Tell]),
        (app(), {"told": {"m": (2.0, A)}, "telling": {"m"}}, []),
        (app(3.0), {"told": {"m": (2.0, AB)}}, [Tell]),  # what it is is asked when they have looked
        (app(3.0), {"told": {"m": (2.0, AB)}, "telling": {"m"}}, []),
        (app(3.0), {"told": {"m": (3.0, AB)}}, [Describe]),
        (app(3.0), {}, [Describe]),
        (app(3.0, NOBODY), {"told": {"m": (2.0, AB)}}, [Describe]),
        (app(2.0, frozenset("abc")), {"told": {"m": (2.0, AB)}}, [Tell, Resize]),
    ],
)
def test_the_steps(one, changes, steps):
    known = app()
    actual = Actual(0, expected={"m"}, described={"m": known}, ready=frozenset("m"))
    actual = dataclasses.replace(actual, **changes)
    found = reconcile(Desired(applications={"m": one}), actual)
    assert found == [step(one) for step in steps]
