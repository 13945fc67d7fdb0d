"""An explainer's application, loaded as its replica loads it."""

from serve_app.config import RemoteModel, named, parse
from serve_app.runtimes.host import ModelHost


class Loaded:
    """An explainer as its replica loads it."""

    def __init__(self, **args) -> None:
        config = named(parse(RemoteModel, {"explains": "iris", **args}), "why")
        self.host = ModelHost(config, False)
        self.host.load()
        self.signature = next(iter(self.host.versions.values())).signature

    async def __call__(self, rows, name="input-0", **parameters):
        (version,) = self.host.versions
        given = rows if isinstance(rows, dict) else {name: rows}
        return await self.host.predict(version, given, parameters)
