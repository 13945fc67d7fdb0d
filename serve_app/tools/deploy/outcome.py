"""What became of each model of a config. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from serve_app.tools.deploy.look import Look
from serve_app.tools.deploy.pending import pending
from serve_app.tools.serve_names import Json, inline, model_of, named, router_of, transformers
from serve_app.tools.serve_says import why

UNLOADED = "it was unloaded: `tandem models load` brings it back"
SERVED = ("new", "changed", "unchanged", "removed")


@dataclass(frozen=True)
class Outcome:
    """Of one model, or of the Router itself.

    `result` is one of SERVED, or refused, deploying, unknown.
    """

    model: str
    where: str
    result: str
    reason: str = ""

    @property
    def served(self) -> bool:
        """Whether it is as it was asked for."""
        return self.result in SERVED


def outcomes(config: Json, before: Look, after: Look) -> list[Outcome]:
    """In the order of the config; what isn't in it any more comes last."""
    waiting = pending(config, after)
    found: list[Outcome] = []
    for name, application in named(config):
        state = _state(name, after, waiting)
        if router_of(application) is not None:
            found += _router(name, application, before, after, state)
        else:
            found.append(_remote(name, application, before, after, state))
    return [*found, *_removed(config, before, after)]


def _state(name: str, after: Look, waiting: dict[str, str]) -> tuple[str, str]:
    """What is to be said of an application as a whole: ('', '') when it runs."""
    if name in waiting:
        return "deploying", waiting[name]
    app = after.applications[name]
    if app["status"] == "RUNNING":
        return "", ""
    reason = why(app) or f"its application is {app['status']}"
    replicas = (one for made in app["deployments"].values() for one in made.get("replicas") or [])
    if any(one.get("state") == "RUNNING" for one in replicas):
        reason += "; what was there before goes on"
    return "refused", reason


def _router(
    name: str, application: Json, before: Look, after: Look, state: tuple[str, str]
) -> Iterator[Outcome]:
    told = list(after.changes.values())
    whole = next((one["refused"] for one in told if one["refused"]), "")
    if not state[0] and not told:
        state = "unknown", after.unheard or "no Router answers"
    if not state[0] and whole:
        state = "refused", whole
    settings = [_settings(look.config(name)) for look in (before, after)]
    result, reason = state if state[0] else (_compared(name in before.applications, *settings), "")
    yield Outcome(name, "router", result, reason)
    for model in inline(application):
        if state[0]:
            yield Outcome(model, "inline", *state)
        elif model in after.unloaded:
            yield Outcome(model, "inline", "refused", UNLOADED)
        elif reason := next((one["models"][model] for one in told if one["models"].get(model)), ""):
            yield Outcome(model, "inline", "refused", _and_before(model, reason, after))
        else:
            yield Outcome(model, "inline", _reloaded(name, model, before, after))
    old, new = (transformers(look.config(name)) for look in (before, after))
    for model in transformers(application):
        if state[0]:
            yield Outcome(model, "transformer", *state)
        elif reason := next((one["models"][model] for one in told if one["models"].get(model)), ""):
            yield Outcome(model, "transformer", "refused", _and_before(model, reason, after))
        else:
            result = _compared(model in old, old.get(model), new.get(model))
            yield Outcome(model, "transformer", result)


def _and_before(model: str, reason: str, after: Look) -> str:
    ready = [row["version"] for row in after.index if row["name"] == model and row["state"] == "READY"]
    return f"{reason}; version {', '.join(ready)} goes on" if ready else reason


def _settings(config: Json) -> Json:
    """What isn't about single models."""
    settings = router_of(config) or {}
    return {key: value for key, value in settings.items() if key not in ("models", "transformers")}


def _reloaded(name: str, model: str, before: Look, after: Look) -> str:
    """By a Router that lived through it, as a changed folder counts too; else by the configs."""
    for router, told in after.changes.items():
        if router in before.changes:
            was, now = before.changes[router]["loaded"].get(model), told["loaded"].get(model)
            return _compared(was is not None, was, now)
    was, now = (inline(look.config(name)).get(model) for look in (before, after))
    return _compared(was is not None, was, now)


def _compared(there: bool, was: object, now: object) -> str:
    if not there:
        return "new"
    return "unchanged" if was == now else "changed"


def _remote(name: str, application: Json, before: Look, after: Look, state: tuple[str, str]) -> Outcome:
    model = model_of(name, application)
    where = "remote" if model == name else f"remote: {name}"
    if state[0]:
        return Outcome(model, where, *state)
    if model in after.unloaded:
        return Outcome(model, where, "refused", UNLOADED)
    told = [one["applications"].get(name) or {} for one in after.changes.values()]
    if reason := next((one["refused"] for one in told if one.get("refused")), ""):
        return Outcome(model, where, "refused", reason)
    rows = [row for row in after.index if row["name"] == model]
    if rows and not any(row["state"] == "READY" for row in rows):
        return Outcome(model, where, "refused", rows[0]["reason"])
    if not after.changes:
        reason = f"its application runs; {after.unheard}" if after.unheard else "no Router serves it"
        return Outcome(model, where, "unknown", reason)
    anew = any(one.get("loaded") and one["loaded"] == one["deployed"] for one in told)
    same = before.config(name) == after.config(name) and not anew
    kept = _replicas(name, before) & _replicas(name, after) or not _replicas(name, before)
    return Outcome(model, where, _compared(name in before.applications, True, bool(same and kept)))


def _replicas(name: str, look: Look) -> set[str]:
    deployments = (look.applications.get(name) or {}).get("deployments") or {}
    found = (one for made in deployments.values() for one in made.get("replicas") or [])
    return {one["replica_id"] for one in found if one["state"] == "RUNNING"}


def _removed(config: Json, before: Look, after: Look) -> Iterator[Outcome]:
    wanted = dict(named(config))
    served = {
        model
        for application in wanted.values()
        for model in (*inline(application), *transformers(application))
    }
    for name in before.applications:
        old = before.config(name)
        for kind, names in (("inline", inline(old)), ("transformer", transformers(old))):
            for model in names:
                if model not in served and model not in wanted:
                    yield Outcome(model, kind, "removed")
        if name in wanted or not old:  # Serve leaves alone what no config has deployed
            continue
        if name in after.applications:
            yield Outcome(model_of(name, old), "remote", "deploying", "it is being removed")
        else:
            yield Outcome(model_of(name, old), "remote", "removed")
