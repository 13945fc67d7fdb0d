"""KServe's YAML as KubeRay's, or as a Serve config; and both of these as KServe's."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from serve_app.errors import ConfigError
from serve_app.tools.check import kserve as kserves_rules
from serve_app.tools.check import served
from serve_app.tools.kserve import both_ways, serve_config
from serve_app.tools.kserve.translate import is_ours
from serve_app.tools.kube.documents import Document
from serve_app.tools.kube.sources import documents


def run(options: argparse.Namespace) -> int:
    """Write what was asked for; warnings go to the standard error. ConfigError where it can't be."""
    found = list(documents(options.path))
    ours = [one for one in found if is_ours(one)]
    to = options.to or ("rayservice" if ours else "kserve")
    if to == "kserve":
        if ours:
            raise ConfigError(f"{options.path}: it is KServe's: --to rayservice, or --to serve")
        result = _to_kserve(options.path, found, options.image or "")
    elif not ours:
        kinds = ", ".join(sorted({one.kind or "a Serve config" for one in found})) or "nothing"
        raise ConfigError(f"{options.path}: nothing of KServe's that is served, but {kinds}")
    else:
        result = [_from_kserve(found, to, options)]
    _write(options.output, result)
    return 0


def _from_kserve(found: Sequence[Document], to: str, options: argparse.Namespace) -> dict[str, Any]:
    for one in found:
        one.report.extend(kserves_rules.check(one))
    translation = served.served(found, here=False)
    said = served.run(translation)
    if wrong := [str(one) for one in said if one.severity == "error"]:
        raise ConfigError("\n".join(wrong))
    _say(map(str, said))
    for one in translation.others:
        _say([f"{one.report.file}:{one.report.line(())}: note: {one.kind}/{one.name} stays as it is"])
    if to == "serve":
        return serve_config.write(translation.services)
    return both_ways.ray_service(translation.services, options.name or "", options.image or "")


def _to_kserve(path: Path, found: Sequence[Document], image: str) -> list[dict[str, Any]]:
    sources = [one for one in found if one.kind == "RayService" or "applications" in one.data]
    if not sources:
        raise ConfigError(f"{path}: neither a RayService nor a Serve config")
    result: list[dict[str, Any]] = []
    for one in sources:
        config = one.data if not one.kind else one.config[1] if one.config else None
        if not isinstance(config, dict):
            raise ConfigError(f"{path}: {one.kind}/{one.name} has no serveConfigV2 that can be read")
        services, said = both_ways.inference_services(one.data, config, image)
        _say(f"{path}: note: {name}: {text}" for name, text in said)
        result += services
    if not result:
        raise ConfigError(f"{path}: no model in it")
    return result


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dumped(found: Sequence[dict[str, Any]]) -> str:
    """As a file of one document or several."""
    return yaml.dump_all(found, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _write(path: Path | None, found: Sequence[dict[str, Any]]) -> None:
    text = dumped(found)
    if path is None or str(path) == "-":
        print(text, end="")
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
