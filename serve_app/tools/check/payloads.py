"""Payload loggers: of models that there are, to sinks whose packages are installed."""

import importlib.util
from collections.abc import Iterator
from urllib.parse import urlsplit

from serve_app.config import RouterUserConfig, did_you_mean
from serve_app.tools.check.applications import Applications
from serve_app.tools.kube.findings import Place, Problem

# By a URL's scheme: the package, and the extra that installs it.
_NEEDS = {
    "kafka": ("confluent_kafka", "kafka"),
    "s3": ("s3fs", "s3"),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gs")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("adlfs", "azure")),
}
_WHY = "the Router leaves the logger out, with a line in the log"


def check_payloads(apps: Applications, user: RouterUserConfig, where: Place) -> Iterator[Problem]:
    """Of the Router's user_config."""
    known = {one.name for one in apps.models} | user.composed()
    for index, logger in enumerate(user.payloads):
        place = (*where, "payloads", index)
        for at, model in enumerate(logger.models if apps.whole else ()):
            if model not in known:
                what = f"no model '{model}'{did_you_mean(model, known)}"
                yield Problem((*place, "models", at), what, "nothing of it is logged")
        needs = {"url": _NEEDS.get(urlsplit(logger.url).scheme)}
        needs |= {"format": ("pyarrow", "batch")} if logger.format == "parquet" else {}
        for key, needed in needs.items() if apps.here else ():
            if needed and importlib.util.find_spec(needed[0]) is None:
                fix = f"pip install 'tandem-serve[{needed[1]}]'"
                yield Problem((*place, key), f"{needed[0]} isn't installed here", _WHY, fix)
