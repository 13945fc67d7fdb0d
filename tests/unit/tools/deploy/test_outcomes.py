"""What `tandem deploy` waits for, and what it says became of each model: tables, without Ray."""

from typing import Any

import pytest

from serve_app.tools.deploy.command import table
from serve_app.tools.deploy.look import Look
from serve_app.tools.deploy.outcome import outcomes
from serve_app.tools.deploy.pending import pending

Json = dict[str, Any]
NO_ROOM = (
    "Deployment 'ModelReplica' in application 'one' has 1 replicas that have taken more than 30s to be "
    'scheduled. Resources required for each replica: {"CPU": 1, "GPU": 1.0}, '
    'total resources available: {"CPU": 3.4}. Use `ray status` for more details.'
)


def model(name: str, **more: Any) -> Json:
    return {"name": name, "modelFormat": "python", "class": "a:B", **more}


def router(*models: Json, **more: Any) -> Json:
    user_config = {"models": list(models), **more}
    deployments = [{"name": "Router", "user_config": user_config}]
    return {
        "name": "tandem",
        "import_path": "serve_app.app:build_router",
        "deployments": deployments,
    }


def remote(name: str = "one", **args: Any) -> Json:
    return {"name": name, "import_path": "serve_app.app:build_model", "args": args}


def config(*applications: Json) -> Json:
    return {"applications": list(applications)}


def app(
    about: Json,
    status: str = "RUNNING",
    message: str = "",
    replicas: tuple[str, ...] = ("r1",),
    stamp: float = 2.0,
) -> Json:
    """As the dashboard has it."""
    deployment = "Router" if about["name"] == "tandem" else "ModelReplica"
    healthy = "HEALTHY" if status == "RUNNING" else "UPDATING"
    running = [{"replica_id": name, "state": "RUNNING"} for name in replicas]
    made = {"status": healthy, "message": message, "replicas": running}
    return {
        "status": status,
        "message": "",
        "last_deployed_time_s": stamp,
        "deployed_app_config": about,
        "deployments": {deployment: made},
    }


def told(*, settled: bool = True, refused: str = "", **more: Any) -> Json:
    """What a Router says."""
    found = {"settled": settled, "refused": refused, "models": {}, "loaded": {}, "applications": {}}
    return found | more


def asked(stamp: float = 2.0, refused: str = "", name: str = "one", loaded: float = 0) -> Json:
    return {name: {"deployed": stamp, "refused": refused, "loaded": loaded}}


def row(name: str, version: str = "1", state: str = "READY", reason: str = "") -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": reason}


def looked(*apps: Json, unheard: str = "", index: Any = (), **routers: Json) -> Look:
    named = {one["deployed_app_config"]["name"]: one for one in apps}
    return Look({"applications": named}, routers, list(index), unheard)


A, B = model("a"), model("b")
OLD = looked(app(router(A, B)), app(remote()), x=told(loaded={"a": 1, "b": 1}))


def became(wanted: Json, before: Look, after: Look) -> dict[str, tuple[str, str]]:
    return {one.model: (one.result, one.reason) for one in outcomes(wanted, before, after)}


def test_nothing_changed() -> None:
    after = looked(
        app(router(A, B)),
        app(remote()),
        x=told(loaded={"a": 1, "b": 1}, applications=asked()),
        index=[row("a"), row("b"), row("one")],
    )
    wanted = config(router(A, B), remote())
    assert pending(wanted, after) == {}
    assert became(wanted, OLD, after) == dict.fromkeys(["tandem", "a", "b", "one"], ("unchanged", ""))


@pytest.mark.parametrize(("loaded", "result"), [(2.0, "changed"), (1.0, "unchanged")])
def test_files_that_this_deploy_loaded_in_the_same_processes(loaded: float, result: str) -> None:
    after = looked(app(remote()), x=told(applications=asked(loaded=loaded)), index=[row("one")])
    assert became(config(remote()), OLD, after)["one"] == (result, "")


def test_what_is_new_changed_and_removed() -> None:
    two, limits = remote("two", versions=["2"]), {"limits": {"timeout": 3}}
    after = looked(
        app(router(A, model("c"), **limits)),
        app(two),
        x=told(loaded={"a": 2, "c": 2}, applications=asked(name="two")),
    )
    wanted = config(router(A, model("c"), **limits), two)
    assert became(wanted, OLD, after) == {
        "tandem": ("changed", ""),
        "a": ("changed", ""),  # loaded anew, though its block is the same: a folder changed
        "c": ("new", ""),
        "two": ("new", ""),
        "b": ("removed", ""),
        "one": ("removed", ""),
    }


@pytest.mark.parametrize(
    ("about", "replicas", "result"),
    [
        (remote(), ("r1",), "unchanged"),
        (remote(), ("r2",), "changed"),  # other processes: what lay on disk changed
        (remote(versions=["2"]), ("r2",), "changed"),
        (remote(replicas=2), ("r1", "r2"), "changed"),
    ],
)
def test_a_remote_model(about: Json, replicas: tuple[str, ...], result: str) -> None:
    after = looked(app(router()), app(about, replicas=replicas), x=told(applications=asked()))
    assert became(config(router(), about), OLD, after)["one"] == (result, "")


def test_a_router_that_replaced_another_is_held_against_the_configs() -> None:
    after = looked(app(router(A, model("b", versions=["2"]))), y=told(loaded={"a": 1, "b": 1}))
    found = became(config(router(A, model("b", versions=["2"]))), OLD, after)
    assert (found["a"][0], found["b"][0]) == ("unchanged", "changed")


def test_a_refused_version_and_what_goes_on() -> None:
    changed = router(A, model("b", versions=["3"]))
    after = looked(
        app(changed),
        x=told(loaded={"a": 1, "b": 1}, models={"a": "", "b": "version 3: no file"}),
        index=[row("a"), row("b"), row("b", "3", "UNAVAILABLE", "version 3: no file")],
    )
    found = became(config(changed), OLD, after)
    assert found["b"] == ("refused", "version 3: no file; version 1 goes on")
    assert (found["a"][0], found["tandem"][0]) == ("unchanged", "unchanged")


def test_one_of_two_routers_refuses_it() -> None:
    after = looked(
        app(router(A), replicas=("x", "y")),
        x=told(loaded={"a": 2}),
        y=told(loaded={"a": 1}, models={"a": "no memory"}),
    )
    assert became(config(router(A)), OLD, after)["a"] == ("refused", "no memory")


def test_a_refused_user_config_refuses_every_inline_model() -> None:
    whole = "user_config.limitz: unknown key"
    after = looked(app(router(A, limitz=1)), x=told(refused=whole, loaded={"a": 1}))
    found = became(config(router(A, limitz=1)), OLD, after)
    assert found["tandem"] == found["a"] == ("refused", whole)


def test_an_application_that_failed_beside_one_that_goes_on() -> None:
    message = "Traceback:\n  File x\nserve_app.errors.ConfigError: no such file"
    failed = app(remote(versions=["2"]), "DEPLOY_FAILED", message)
    gone = app(remote("two"), "DEPLOY_FAILED", message, replicas=())
    wanted = config(router(), remote(versions=["2"]), remote("two"))
    after = looked(app(router()), failed, gone, x=told())
    assert pending(wanted, after) == {}
    found = became(wanted, OLD, after)
    assert found["one"] == (
        "refused",
        "ModelReplica: no such file; what was there before goes on",
    )
    assert found["two"] == ("refused", "ModelReplica: no such file")


def test_a_replicas_user_config_that_its_router_hears_is_refused() -> None:
    after = looked(app(router()), app(remote()), x=told(applications=asked(refused="batching: no")))
    assert became(config(router(), remote()), OLD, after)["one"] == ("refused", "batching: no")


def test_a_model_of_which_nothing_is_ready_is_not_served() -> None:
    rows = [row("one", "", "UNAVAILABLE", "its application is UNHEALTHY")]
    after = looked(app(router()), app(remote()), x=told(applications=asked()), index=rows)
    found = became(config(router(), remote()), OLD, after)
    assert found["one"] == ("refused", "its application is UNHEALTHY")


def test_who_finds_no_room_is_still_waited_for_and_says_why() -> None:
    after = looked(app(router()), app(remote(), "DEPLOYING", NO_ROOM, replicas=()), x=told())
    wanted = config(router(), remote())
    room = (
        'no room for ModelReplica: a replica asks for {"CPU": 1, "GPU": 1.0}, '
        'free in the cluster: {"CPU": 3.4}'
    )
    assert pending(wanted, after) == {"one": room}
    assert became(wanted, OLD, after)["one"] == ("deploying", room)


@pytest.mark.parametrize(
    ("now", "waits"),
    [
        (looked(), {"tandem": "Serve doesn't know it yet", "one": "Serve doesn't know it yet"}),
        (
            looked(app(router(), "DEPLOYING"), app(remote(), "NOT_STARTED")),
            {"tandem": "it is DEPLOYING", "one": "it is NOT_STARTED"},
        ),
        (
            looked(app(router()), app(remote()), x=told(settled=False, applications=asked())),
            {"tandem": "its models are being loaded"},
        ),
        # One of two Routers knows the application as it was before.
        (
            looked(
                app(router()),
                app(remote()),
                x=told(applications=asked()),
                y=told(applications=asked(1.0)),
            ),
            {"one": "the Router hasn't asked it yet what it is"},
        ),
        (
            looked(
                app(router()),
                app(remote()),
                app(remote("gone"), "DELETING"),
                x=told(applications=asked()),
            ),
            {"gone": "it is being removed"},
        ),
        (looked(app(router()), app(remote()), x=told(applications=asked())), {}),
    ],
)
def test_what_is_waited_for(now: Look, waits: Json) -> None:
    assert pending(config(router(), remote()), now) == waits


def test_routers_that_cannot_be_asked_leave_it_unknown() -> None:
    after = looked(app(router(A)), app(remote()), unheard="the Routers can't be asked")
    wanted = config(router(A), remote())
    assert pending(wanted, after) == {}
    found = outcomes(wanted, OLD, after)
    assert {one.result for one in found if one.model in ("a", "one")} == {"unknown"}
    assert not any(one.served for one in found if one.model in ("a", "one"))


def test_a_second_application_of_a_model_stands_beside_the_first() -> None:
    second = remote("one-2", model="one", versions=["2"])
    after = looked(
        app(router()),
        app(remote()),
        app(second, "DEPLOY_FAILED", "OSError: gone", replicas=()),
        x=told(applications=asked(), models={"one": "its application is DEPLOY_FAILED: OSError: gone"}),
        index=[row("one")],
    )
    found = outcomes(config(router(), remote(), second), OLD, after)
    assert [(one.where, one.result) for one in found if one.model == "one"] == [
        ("remote", "unchanged"),
        ("remote: one-2", "refused"),
    ]


def test_a_first_deployment_is_all_new() -> None:
    after = looked(app(router(A)), app(remote()), x=told(loaded={"a": 1}, applications=asked()))
    found = became(config(router(A), remote()), looked(), after)
    assert {result for result, _ in found.values()} == {"new"}


def test_a_model_that_moves_to_replicas_of_its_own_is_not_removed() -> None:
    after = looked(app(router()), app(remote("a")), x=told(applications=asked(name="a")))
    found = outcomes(config(router(), remote("a")), OLD, after)
    assert [(one.where, one.result) for one in found if one.model == "a"] == [("remote", "new")]


def test_the_table() -> None:
    after = looked(app(router(A)), x=told(loaded={"a": 1}, models={"a": "one\ntwo"}))
    assert table(outcomes(config(router(A)), OLD, after)).splitlines() == [
        "  tandem  router  unchanged",
        "  a       inline  refused",
        "      one",
        "      two",
        "  b       inline  removed",
        "  one     remote  removed",
        "1 of 4 not as asked for",
    ]
    assert table(outcomes(config(router(A)), looked(), looked(app(router(A)), x=told()))).endswith(
        "all of it is served"
    )
