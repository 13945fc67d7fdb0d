"""The applications of a Serve config that are Tandem's: their arguments, and their user_config."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from serve_app.config import (
    Config,
    InlineModel,
    ModelConfig,
    RemoteModel,
    ReplicaUserConfig,
    RouterArgs,
    RouterUserConfig,
    did_you_mean,
    servable,
)  # fmt: skip
from serve_app.releases.applications import REPLICA, TOKENIZER
from serve_app.tools.check import modules, ray_values, sources
from serve_app.tools.check.modules import Where
from serve_app.tools.check.paths import MODEL_PATH, ROUTER_PATH, nearest
from serve_app.tools.check.typed import read
from serve_app.tools.kube.documents import get, items
from serve_app.tools.kube.findings import Place, Report

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Placed:
    """A model, where it stands, and the application it is, '' for an inline one.

    `changed`: keys of it that were wrong, and aren't as they were written any more.
    """

    place: Place
    config: ModelConfig
    changed: frozenset[str]
    application: str = ""

    @property
    def name(self) -> str:
        """By which requests ask for it."""
        own = self.config.model if isinstance(self.config, RemoteModel) else self.config.name
        return own or self.application


class Applications:
    """What could be read of them. What couldn't, the report hears."""

    def __init__(
        self, data: dict[str, Any], report: Report, here: bool, unsure: Collection[int | str] = ()
    ) -> None:
        self._report, self.here = report, here
        self.models: list[Placed] = []
        self.whole = True  # whether every model could be read
        self.limit: int | None = None  # the Router's max_ongoing_requests
        self.admin = False  # whether it has a Steward
        self.router: tuple[RouterUserConfig, Place] | None = None
        for index, app in enumerate(items(data, "applications")):
            place: Place = ("applications", index)
            if isinstance(app, dict):
                self._application(app, place, nearest(app.get("import_path")), index not in unsure)

    def versions(self, name: str) -> dict[str, tuple[str, ...]] | None:
        """Of a model, with the outputs that the configuration names; None where one isn't known."""
        found: dict[str, tuple[str, ...]] = {}
        for one in (one for one in self.models if one.name == name):
            unknown = one.changed & {"versions", "storageUri"}
            numbers = None if unknown else sources.versions_of(one.config, self.here)
            if numbers is None:
                return None
            found |= dict.fromkeys(numbers, tuple(tensor.name for tensor in one.config.outputs))
        return found if self.whole else None

    def _application(self, app: dict[str, Any], place: Place, ours: str, sure: bool) -> None:
        if ours == ROUTER_PATH:
            args = read(RouterArgs, app.get("args") or {}, (*place, "args"), self._report)
            self.admin = args is not None and args.admin is not None
            self._deployments(app, place, ("Router", "Steward") if self.admin else ("Router",))
            self.limit = args.max_ongoing_requests if args else None
            deployment, where = _deployment(app, place, "Router")
            if isinstance(said := deployment.get("max_ongoing_requests"), int):
                self.limit = said
            self._router(deployment.get("user_config") or {}, (*where, "user_config"), app)
        elif ours == MODEL_PATH:
            self._model(app, place)
        elif self.here and sure and not ours:
            where_ = Where.of(app.get("runtime_env"))
            found = modules.import_path(app.get("import_path"), (*place, "import_path"), where_)
            self._report.extend(found)

    def _router(self, user: Any, place: Place, app: dict[str, Any]) -> None:
        given = user if isinstance(user, dict) else {}
        models = given.get("models")
        rest = {key: value for key, value in given.items() if key != "models"}
        if not isinstance(models, list):
            rest |= {"models": models} if models is not None else {}
        config = read(RouterUserConfig, rest if given else user, place, self._report)
        self.router = (config, place) if config else None
        names = set[str]()
        for index, one in enumerate(models if isinstance(models, list) else ()):
            here = (*place, "models", index)
            changed = set[str]()
            model = read(InlineModel, one, here, self._report, changed)
            if model is None:
                self.whole = False
                continue
            if "name" not in changed:
                if model.name in names:
                    self._report.add((*here, "name"), f"models holds '{model.name}' twice")
                names.add(model.name)
            self._add(Placed(here, model, frozenset(changed)), app, _deployment(app, place, "Router")[0])

    def _model(self, app: dict[str, Any], place: Place) -> None:
        args, name = app.get("args"), app.get("name")
        transformers = get(args, "modelFormat") == "transformers"
        self._deployments(app, place, (REPLICA, TOKENIZER) if transformers else (REPLICA,))
        deployment, where = _deployment(app, place, REPLICA)
        said = deployment.get("user_config") or {}
        read(ReplicaUserConfig, said, (*where, "user_config"), self._report)
        changed = set[str]()
        config = read(RemoteModel, args or {}, (*place, "args"), self._report, changed)
        if config is None:
            self.whole = False
            return
        if config.name not in (None, name):
            text = f"must equal the application's name, {name!r}"
            self._report.add((*place, "args", "name"), text)
        try:  # the application's name is the model's name, mostly: it obeys the same rule
            servable(str(name))
        except ValueError as error:
            self._report.add((*place, "name"), str(error))
        self._add(Placed((*place, "args"), config, frozenset(changed), str(name)), app, deployment)

    def _add(self, one: Placed, app: dict[str, Any], deployment: dict[str, Any]) -> None:
        self.models.append(one)
        if one.config.trusted and one.config.model_format == "torch":
            self._report.add(
                (*one.place, "trusted"),
                "a TorchScript file (model.pt) is loaded unchecked",
                "whoever can write it can read and write what the process can: files, tokens, requests",
                "torch.export.save(...) as model.pt2, which is checked",
                severity="note",
            )
        path = one.config.class_path
        if path and ":" not in path:
            what = f"'{path}' is no import path: module:Class"
            self._report.add((*one.place, "class"), what)
        elif path:
            self._report.extend(ray_values.import_path(path, (*one.place, "class")))
        self._report.extend(sources.check(one.config, one.place))
        if self.here:
            actor = get(deployment, "ray_actor_options", "runtime_env")
            where = Where.of(app.get("runtime_env"), actor)
            self._report.extend(sources.check_here(one.config, one.place, where))

    def _deployments(self, app: dict[str, Any], place: Place, names: tuple[str, ...]) -> None:
        for index, deployment in enumerate(items(app, "deployments")):
            if (name := get(deployment, "name")) not in names and name is not None:
                text = f"no deployment '{name}' here{did_you_mean(str(name), names)}"
                self._report.add((*place, "deployments", index, "name"), text)


def _deployment(app: dict[str, Any], place: Place, name: str) -> tuple[dict[str, Any], Place]:
    """One of an application's, and where; one that is misspelt counts when it is the only one."""
    for index, one in enumerate(found := items(app, "deployments")):
        alone = len(found) == 1 and get(one, "name") not in (TOKENIZER, "Steward")
        if isinstance(one, dict) and (one.get("name") == name or alone):
            return one, (*place, "deployments", index)
    return {}, place
