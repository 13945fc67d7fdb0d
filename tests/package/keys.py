"""docs/keys.md, made of the configuration's types: `python -m tests.package.keys` writes it."""

import ast
import inspect
import json
import types
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

from serve_app import config
from serve_app.config import Config
from tests.package.tracked import ROOT

PAGE = ROOT / "docs/keys.md"
HEAD = """\
# Every key of the configuration

This page is made from the types that read a configuration (`make keys` writes it), and a test fails when
the two differ. [models.md](models.md) tells what the keys are good for, and
[first-model.md](first-model.md) has whole files to start from.

A configuration is a *Serve config*, the file that
[Ray Serve](https://docs.ray.io/en/latest/serve/production-guide/config.html) deploys: a list of
applications. Two kinds of applications are Tandem's, and Tandem's keys stand at these places in them:

```yaml
applications:
  - name: tandem
    route_prefix: /
    import_path: serve_app.app:build_router
    args: {}                   # "The Router's args"
    deployments:
      - name: Router
        user_config:           # "The Router's user_config"
          models:
            - name: digits     # "A model", and "A model inside the Router"
              modelFormat: onnx
              storageUri: models/digits
  - name: iris
    route_prefix: null
    import_path: serve_app.app:build_model
    args:                      # "A model", and "A model with an application of its own"
      modelFormat: onnx
      storageUri: models/iris
```

In the tables, `batching.maxBatchSize` stands for the key `maxBatchSize` below the key `batching`,
`inputs[].name` for the key `name` in each entry of the list `inputs`, and `routing.NAME` for a key
that you choose. At these places every other key is refused, by `tandem check` and when the application
starts.
"""
# Heading, type, and the one whose keys stand in a table of their own already.
TABLES = [
    ("A model", config.ModelConfig, None),
    ("A model inside the Router", config.InlineModel, config.ModelConfig),
    ("A model with an application of its own", config.RemoteModel, config.ModelConfig),
    ("`options` of torch", config.TorchOptions, None),
    ("`options` of onnx", config.OnnxOptions, None),
    ("`options` of transformers", config.TransformersOptions, None),
    ("`options` of sklearn", config.SklearnOptions, None),
    ("`options` of xgboost", config.XgboostOptions, None),
    ("`options` of lightgbm", config.LightgbmOptions, None),
    ("`options` of tensorflow", config.TensorflowOptions, None),
    ("`options` of v2", config.V2Options, None),
    ("The Router's `user_config`", config.RouterUserConfig, None),
    ("The Router's `args`", config.RouterArgs, None),
    ("The `user_config` of a model's own application", config.ReplicaUserConfig, None),
]
WORDS = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", Any: "anything"}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def page() -> str:
    """The whole text."""
    parts = [HEAD.rstrip()]
    for heading, kind, base in TABLES:
        parts.append(f"\n## {heading}\n\n| key | value | default | meaning |\n|---|---|---|---|")
        parts += [f"| {' | '.join(row)} |" for row in rows(kind, base)]
    return "\n".join(parts) + "\n"


def rows(kind: type[Config], base: type[Config] | None, above: str = "") -> Iterator[list[str]]:
    """Key, value, default and meaning of every key of `kind`, those of nested types after their own."""
    known = meanings(base) if base else {}
    for name, text in meanings(kind).items():
        if known.get(name) == text:
            continue
        field = kind.model_fields[name]
        key = above + (field.alias or name)
        yield [f"`{key}`", value(field.annotation, field.metadata), default(field), text]
        if kind is config.RouterUserConfig and name == "models":
            continue  # in tables of their own
        inner, mark = nested(field.annotation)
        if inner:
            yield from rows(inner, None, f"{key}{mark}.")


@cache
def meanings(kind: type[Config]) -> dict[str, str]:
    """The text below each field of the class and of those above it."""
    found = meanings(kind.__base__).copy() if kind.__base__ is not Config else {}
    body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined]
    for one, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found[one.target.id] = " ".join(after.value.value.split()) if said else ""
    return found


def nested(annotation: Any) -> tuple[type[Config] | None, str]:
    """The type whose keys stand below, and what is between."""
    mark = {list: "[]", dict: ".NAME"}.get(get_origin(annotation), "")
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation, ""
    for part in get_args(annotation):
        inner, deeper = nested(part)
        if inner:
            return inner, mark + deeper
    return None, ""


def value(annotation: Any, limits: list[Any] = ()) -> str:  # type: ignore[assignment]
    """What may stand there, in words."""
    origin, parts = (
        get_origin(annotation),
        [part for part in get_args(annotation) if part is not type(None)],
    )
    if origin is Literal:
        text = ", ".join(f"`{part}`" for part in parts)
    elif origin in (Union, types.UnionType):
        text = ", or ".join(value(part) for part in parts)
    elif origin in (list, tuple):
        text = f"list: {value(parts[0])}"
    elif origin is dict:
        text = "keys of your choice" if parts[1] is not Any else "keys, each with a value"
    elif isinstance(annotation, type) and issubclass(annotation, Config):
        text = "the keys below"
    else:
        text = WORDS[annotation]
    bounds = [
        f"{word} {getattr(limit, sign):g}"
        for limit in limits
        for sign, word in BOUNDS.items()
        if hasattr(limit, sign)
    ]
    return ", ".join([text, *bounds])


def default(field: Any) -> str:
    """As one would write it; `none` where the key may be left out and nothing stands for it."""
    if field.is_required():
        return "required"
    if field.default is None or field.default is PydanticUndefined or field.default in ([], {}):
        return "none"
    if isinstance(field.default, Config):
        return "as below"
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    PAGE.write_text(page())
