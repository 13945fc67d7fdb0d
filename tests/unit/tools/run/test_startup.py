"""What `tandem run` waits for and says, as Serve's applications come up or don't."""

from typing import Any

import pytest

from serve_app.errors import NOT_HERE
from serve_app.tools.run.startup import Startup, explained_models, settled

ROOM = (
    "Deployment 'ModelReplica' in application 'm' has 1 replicas that have taken more than 30s to be "
    'scheduled. Resources required for each replica: {"CPU": 1, "GPU": 1.0}, '
    'total resources available: {"CPU": %s}. Use `ray status` for more details.'
)


def app(status: str = "RUNNING", message: str = "", deployment: str = "ModelReplica") -> dict[str, Any]:
    state = {"status": "HEALTHY" if status == "RUNNING" else "UPDATING", "message": message}
    return {"status": status, "message": "", "deployments": {deployment: state}}


def router(status: str = "RUNNING", message: str = "") -> dict[str, Any]:
    return app(status, message, "Router")


def test_all_come() -> None:
    startup = Startup("tandem")
    building = {"tandem": {"status": "DEPLOYING", "message": "", "deployments": {}}}
    assert startup.look(building, 1) == []
    assert not startup.serves(building, 1)
    apps = {"tandem": router(), "m": app("DEPLOYING")}
    assert startup.look(apps, 5) == []
    assert not startup.serves(apps, 5)
    apps = {"tandem": router(), "m": app()}
    assert startup.look(apps, 9) == []
    assert startup.serves(apps, 9)


def test_one_that_finds_no_room_is_named_after_half_a_minute_and_the_others_serve() -> None:
    startup = Startup("tandem")
    apps = {"tandem": router(), "m": app("DEPLOYING", ROOM % 3.4)}
    assert startup.look(apps, 29) == []
    assert not startup.serves(apps, 29)
    (line,) = startup.look(apps, 31)
    assert line == (
        "application 'm' is still DEPLOYING: no room for ModelReplica: "
        'a replica asks for {"CPU": 1, "GPU": 1.0}, free in the cluster: {"CPU": 3.4}'
    )
    assert startup.serves(apps, 31)
    assert not startup.lost(apps)
    apps["m"] = app("DEPLOYING", ROOM % 3.2)
    assert startup.look(apps, 40) == []  # the same again
    apps["m"] = app()
    assert startup.look(apps, 50) == ["application 'm' runs now"]
    assert startup.waiting == {}


def test_several_never_come() -> None:
    startup = Startup("tandem")
    apps = {"tandem": router(), "m": app("DEPLOYING", ROOM % 1), "n": app("DEPLOYING", ROOM % 1)}
    assert [line.split("'")[1] for line in startup.look(apps, 31)] == ["m", "n"]
    assert startup.serves(apps, 31)
    apps["n"] = app("DEPLOY_FAILED", "no such file")
    assert startup.look(apps, 40) == ["application 'n' is DEPLOY_FAILED: no such file"]
    assert list(startup.waiting) == ["m"]


def test_serves_own_word_comes_a_little_later() -> None:
    startup = Startup("tandem")
    apps = {"tandem": router(), "m": app("DEPLOYING")}
    assert startup.look(apps, 31) == []
    assert not startup.serves(apps, 31)
    assert startup.look(apps, 41) == ["application 'm' is still DEPLOYING: Serve doesn't say why"]
    assert startup.serves(apps, 41)


def test_a_router_that_is_late_is_waited_for() -> None:
    startup = Startup("tandem")
    apps = {"tandem": router("DEPLOYING", ROOM % 0), "m": app()}
    assert len(startup.look(apps, 31)) == 1
    assert not startup.serves(apps, 500)
    assert not startup.lost(apps)
    apps["tandem"] = router()
    startup.look(apps, 501)
    assert startup.serves(apps, 501)


def test_a_router_that_failed_serves_nothing() -> None:
    startup = Startup("tandem")
    apps = {"tandem": router("DEPLOY_FAILED", "user_config.limitz: unknown key"), "m": app("DEPLOYING")}
    assert startup.look(apps, 3) == [
        "application 'tandem' is DEPLOY_FAILED: user_config.limitz: unknown key"
    ]
    assert startup.lost(apps)
    assert not startup.lost({})


def test_a_model_that_failed_is_said_and_the_others_serve() -> None:
    startup = Startup("tandem")
    apps = {"tandem": router(), "m": app("DEPLOY_FAILED", "no such file")}
    assert startup.look(apps, 3) == ["application 'm' is DEPLOY_FAILED: no such file"]
    assert startup.look(apps, 4) == []
    assert startup.serves(apps, 4)


def test_what_a_later_config_removes_is_not_waited_for() -> None:
    startup = Startup("tandem")
    startup.look({"tandem": router(), "m": app("DEPLOYING", ROOM % 1)}, 31)
    assert startup.look({"tandem": router(), "m": app("DELETING", ROOM % 1)}, 40) == []
    assert startup.waiting == {}


READY = {"name": "why", "state": "READY", "reason": ""}
LOADS = {"name": "m", "state": "UNAVAILABLE", "reason": "loading"}


@pytest.mark.parametrize(
    ("index", "done"),
    [
        ([], False),
        ([READY], False),  # what it explains isn't known yet
        ([READY, LOADS], False),
        ([READY, {**LOADS, "state": "READY"}], True),
        ([READY, {**LOADS, "reason": NOT_HERE}], True),
    ],
)
def test_an_explainer_is_ready_when_the_model_that_it_explains_is(index, done):
    explainer = {"name": "why", "args": {"explains": "m"}}
    apps = [explainer, {"name": "app", "args": {"model": "m"}}, {"name": "tandem"}]
    explained = explained_models({"applications": apps}, {})
    assert explained == {"m"}
    assert settled(index, {}, explained) is done


def test_an_application_that_takes_long_keeps_nothing_from_being_announced():
    apps = [{"name": "why", "args": {"explains": "m"}}, {"name": "app", "args": {"model": "m"}}]
    assert settled([READY], {"app": ""}, explained_models({"applications": apps}, {"app": ""}))
