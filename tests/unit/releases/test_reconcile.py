"""What is wanted and what is there, and the steps between: a table, without Ray."""

import dataclasses

import pytest

from serve_app.config import InlineModel, parse
from serve_app.releases.applications import RemoteApp
from serve_app.releases.reconcile import (
    DOWN_GRACE_S,
    Actual,
    Adopt,
    Describe,
    Desired,
    Expect,
    Forget,
    Load,
    Name,
    Refuse,
    Resize,
    Rest,
    Unload,
    reconcile,
)
from serve_app.releases.since import down_since, refusals


def inline(name: str, concurrency: int = 1) -> InlineModel:
    about = {"name": name, "modelFormat": "python", "class": "a:B", "concurrency": concurrency}
    return parse(InlineModel, about)


def app(name: str = "m", status: str = "RUNNING", running: int = 1, **changes) -> RemoteApp:
    made = RemoteApp(name, "ModelReplica", status, "", running, stamp=1.0, model=name)
    return dataclasses.replace(made, **changes)


A, A2, B = inline("a"), inline("a", 2), inline("b")


def models(*wanted: InlineModel) -> dict[str, InlineModel]:
    return {one.name: one for one in wanted}


@pytest.mark.parametrize(
    ("wanted", "actual", "steps"),
    [
        ([], Actual(generation=1), []),
        ([], Actual(generation=0), [Adopt(1)]),
        ([A, B], Actual(generation=0), [Name("a"), Name("b"), Load(A)]),
        # One at a time, in their order; the configuration is served when all were tried.
        ([A, B], Actual(generation=0, loading="a", known={"a", "b"}), []),
        ([A, B], Actual(generation=0, loading="a", known={"a"}), [Name("b")]),
        ([A, B], Actual(inline=models(A), known={"a", "b"}), [Load(B)]),
        ([A, B], Actual(inline=models(A, B), known={"a", "b"}), [Adopt(1)]),
        # A changed one is loaded beside the old one; one that is gone is dropped at once.
        ([A2], Actual(inline=models(A), known={"a"}), [Load(A2)]),
        ([B], Actual(inline=models(A, B), known={"a", "b"}), [Unload("a"), Adopt(1)]),
        ([B], Actual(inline=models(B), known={"a", "b"}, loading="a"), []),
        # One that can't be loaded is tried again with the next configuration, not before.
        ([A], Actual(failed={"a": 1}, known={"a"}), [Adopt(1)]),
        ([A], Actual(failed={"a": 0}, known={"a"}), [Load(A)]),
        ([A], Actual(generation=1, failed={"a": 1}, known={"a"}), []),
        ([], Actual(generation=0, failed={"a": 0}, known={"a"}), [Unload("a"), Adopt(1)]),
        # One that takes long lets others begin, and the configuration waits for it until it is overdue.
        ([A, B], Actual(late={"a": A}, known={"a", "b"}), [Load(B)]),
        ([A, B], Actual(late={"a": A}, inline=models(B), known={"a", "b"}), []),
        ([A, B], Actual(late={"a": A}, overdue={"a"}, inline=models(B), known={"a", "b"}), [Adopt(1)]),
        ([A], Actual(generation=1, late={"a": A}, overdue={"a"}, known={"a"}), []),
        ([A2], Actual(generation=0, late={"a": A}, overdue={"a"}, known={"a"}), [Load(A2)]),
        ([], Actual(generation=1, late={"a": A}, known={"a"}), [Unload("a")]),
    ],
)
def test_inline_models(wanted, actual, steps):
    assert reconcile(Desired(1, models(*wanted)), actual) == steps


@pytest.mark.parametrize(
    ("wanted", "actual", "steps"),
    [
        # None is loaded, and nothing is waited for.
        ([A, B], Actual(known={"a", "b"}), [Rest(A), Rest(B), Adopt(1)]),
        ([A], Actual(inline=models(A), cold={"a"}, known={"a"}), [Adopt(1)]),
        # One that is in memory is changed at once, one that isn't when it is asked for.
        ([A2], Actual(inline=models(A), known={"a"}), [Load(A2)]),
        ([A2], Actual(inline=models(A), cold={"a"}, known={"a"}), [Rest(A2), Adopt(1)]),
        ([A2, B], Actual(inline=models(A), known={"a", "b"}), [Rest(B), Load(A2)]),
        ([A2, B], Actual(inline=models(A), known={"a", "b"}, loading="a"), [Rest(B)]),
        ([A], Actual(1, inline=models(A), stale={"a"}, known={"a"}), [Load(A)]),
        ([], Actual(1, inline=models(A), cold={"a"}, known={"a"}, seen=1), [Unload("a")]),
        # While it is replaced (`swap: replace`) it isn't there, and is on the way.
        ([A2], Actual(known={"a"}, loading="a"), []),
    ],
)
def test_inline_models_that_are_loaded_when_they_are_asked_for(wanted, actual, steps):
    assert reconcile(Desired(1, models(*wanted), lazily=True), actual) == steps


def test_without_a_limit_those_that_rest_are_loaded():
    actual = Actual(1, inline=models(A, B), cold={"b"}, known={"a", "b"})
    assert reconcile(Desired(1, models(A, B)), actual) == [Load(B)]


def test_models_that_are_in_their_places_are_not_compared_key_by_key(monkeypatch):
    """Of a thousand, that keeps a Router's requests waiting at each look at Serve's status."""
    actual = Actual(1, inline=models(A, B), known={"a", "b"}, late=models(A))
    monkeypatch.setattr(InlineModel, "__eq__", lambda one, other: pytest.fail("they are the same"))
    assert reconcile(Desired(1, models(A, B)), actual) == []


def known(one: RemoteApp | None = None, ready: bool = True, **more) -> Actual:
    """A Router that has described `m`."""
    return Actual(1, expected={"m"}, described={"m": one}, ready={"m"} if ready else set(), **more)


BUILT = app(status="DEPLOYING", running=0)
NO_ROOM = app(status="DEPLOYING", running=0, message="no GPU")
FAILED = app(status="DEPLOY_FAILED", running=0, message="no such file")
DOWN = app(status="UNHEALTHY", running=0, message="they died")


@pytest.mark.parametrize(
    ("wanted", "actual", "steps"),
    [
        # New ones: asked as soon as something of them runs; until then they say what they wait for.
        (app(), Actual(1), [Expect(app(), "its application is RUNNING"), Describe(app())]),
        (app(ingress=""), Actual(1), []),
        (BUILT, Actual(1), [Expect(BUILT, "its application is DEPLOYING")]),
        (NO_ROOM, Actual(1), [Expect(NO_ROOM, "its application is DEPLOYING: no GPU")]),
        (
            app(status="DEPLOYING"),
            Actual(1),
            [
                Expect(app(status="DEPLOYING"), "its application is DEPLOYING"),
                Describe(app(status="DEPLOYING")),
            ],
        ),
        (
            app(),
            Actual(1, expected={"m"}, describing={"m"}),
            [Expect(app(), "its application is RUNNING")],
        ),
        # Those that serve.
        (app(), known(app()), []),
        (app(running=3), known(app()), [Resize(app(running=3))]),
        (app(stamp=2.0), known(app()), [Describe(app(stamp=2.0))]),
        (app(stamp=2.0, status="DEPLOYING"), known(app()), []),  # what serves goes on
        (app(), known(None), [Describe(app())]),  # was asked while it changed
        # Those that fail.
        (FAILED, Actual(1), [Refuse(FAILED, "its application is DEPLOY_FAILED: no such file")]),
        (FAILED, known(app()), [Refuse(FAILED, "its application is DEPLOY_FAILED: no such file")]),
        (app(status="DEPLOY_FAILED", running=1), known(app()), []),
        (DOWN, known(app(), now=100.0), []),
        (DOWN, known(app(), now=100.0, down_since={"m": 100.0 - DOWN_GRACE_S}), []),
        (
            DOWN,
            known(app(), now=100.1, down_since={"m": 100.0 - DOWN_GRACE_S}),
            [Refuse(DOWN, "its application is UNHEALTHY: they died")],
        ),
        (
            app(),
            known(None, ready=False),
            [Expect(app(), "its application is RUNNING"), Describe(app())],
        ),
    ],
)
def test_applications(wanted, actual, steps):
    assert reconcile(Desired(1, {}, {"m": wanted}), actual) == steps


def test_applications_that_are_gone_are_forgotten_described_or_not():
    actual = Actual(1, expected={"m", "n"}, described={"m": app()}, ready={"m"})
    assert reconcile(Desired(1), actual) == [Forget("m"), Forget("n")]


def test_an_inline_model_goes_before_an_application_of_its_name_once_it_is_loaded():
    desired = Desired(1, models(A), {"a": app("a")})
    serving = Actual(0, expected={"a"}, described={"a": app("a")}, ready={"a"})
    assert reconcile(desired, serving) == [Name("a"), Load(A)]  # the application goes on until then
    serving.inline, serving.known = models(A), {"a"}
    assert reconcile(desired, serving) == [Adopt(1), Forget("a")]


def test_an_application_is_followed_while_an_inline_model_of_its_name_isnt_loaded():
    failed = Actual(
        1, known={"a"}, failed={"a": 1}, expected={"a"}, described={"a": app("a")}, ready={"a"}
    )
    for changed, step in (
        (app("a", running=2), Resize(app("a", running=2))),
        (app("a", stamp=2.0), Describe(app("a", stamp=2.0))),
    ):
        assert reconcile(Desired(1, models(A), {"a": changed}), failed) == [step]
    gone = app("a", status="DEPLOY_FAILED", running=0, message="no")
    assert reconcile(Desired(1, models(A), {"a": gone}), failed) == [
        Refuse(gone, "its application is DEPLOY_FAILED: no")
    ]


def test_an_inline_model_stays_until_the_application_of_its_name_answers():
    loaded = Actual(1, inline=models(A), known={"a"})
    desired = Desired(2, {}, {"a": app("a")})
    assert reconcile(desired, loaded) == [
        Adopt(2),
        Expect(app("a"), "its application is RUNNING"),
        Describe(app("a")),
    ]
    loaded.generation, loaded.described, loaded.ready = 2, {"a": app("a")}, {"a"}
    assert reconcile(desired, loaded) == [Unload("a")]


@pytest.mark.parametrize("status", ["DEPLOYING", "NOT_STARTED", "DEPLOY_FAILED", "UNHEALTHY"])
def test_an_inline_model_stays_while_the_application_of_its_name_doesnt_answer(status):
    loaded = Actual(2, inline=models(A), known={"a"})
    steps = reconcile(Desired(2, {}, {"a": app("a", status, 0)}), loaded)
    assert Unload("a") not in steps


def test_whether_an_application_follows_is_known_at_the_next_look():
    loaded = Actual(2, inline=models(A), known={"a"}, seen=1)
    assert reconcile(Desired(2), loaded) == []
    loaded.seen = 2
    assert reconcile(Desired(2), loaded) == [Unload("a")]


def test_an_application_that_is_gone_keeps_its_place_until_the_inline_model_is_there():
    gone = known(app())
    desired = Desired(2, models(inline("m")))
    gone.loading, gone.known = "m", {"m"}
    assert reconcile(desired, gone) == []
    gone.loading, gone.failed = "", {"m": 2}
    assert reconcile(desired, gone) == [Adopt(2), Forget("m")]


def test_an_application_that_is_gone_stays_while_this_router_may_be_about_to_change():
    gone = known(app())
    gone.changing = True
    assert reconcile(Desired(1), gone) == []
    gone.changing = False
    assert reconcile(Desired(1), gone) == [Forget("m")]


@pytest.mark.parametrize(
    ("replicas", "asked"), [("ab", False), ("abcd", False), ("bcd", True), ("cd", True), ("", False)]
)
def test_an_application_is_asked_again_when_most_replicas_are_others(replicas, asked):
    now = app(status="DEPLOYING", running=len(replicas), stamp=2.0, replicas=frozenset(replicas))
    served = known(app(), served={"m": frozenset("ab")})
    assert reconcile(Desired(1, {}, {"m": now}), served) == ([Describe(now)] if asked else [])


def test_two_applications_of_one_model_are_two():
    second = app("m-next", model="m")
    desired = Desired(1, {}, {"m": app(), "m-next": second})
    assert reconcile(desired, known(app())) == [
        Expect(second, "its application is RUNNING"),
        Describe(second),
    ]


def test_nothing_is_changed_by_asking():
    actual = known(app())
    before = dataclasses.replace(actual)
    reconcile(Desired(2, models(A), {"m": app(stamp=2.0)}), actual)
    assert actual == before


def test_since_when_they_are_down():
    applications = {"m": DOWN, "n": app("n")}
    assert down_since({}, applications, 5.0) == {"m": 5.0}
    assert down_since({"m": 3.0, "n": 4.0}, applications, 5.0) == {"m": 3.0}


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [
        ("", app(), ""),
        ("", FAILED, "its application is DEPLOY_FAILED: no such file"),
        # What serves goes on, and isn't what was wanted.
        ("", dataclasses.replace(FAILED, running=1), "its application is DEPLOY_FAILED: no such file"),
        ("before", FAILED, "its application is DEPLOY_FAILED: no such file"),
        ("before", app(status="DEPLOYING"), "before"),  # nobody knows yet
        ("before", app(), ""),
        ("", DOWN, ""),  # it died, and nothing was refused
    ],
)
def test_what_was_refused(before, now, refused):
    assert refusals({"m": before} if before else {}, {"m": now}) == ({"m": refused} if refused else {})


def test_what_is_gone_was_not_refused():
    assert refusals({"m": "before"}, {}) == {}
