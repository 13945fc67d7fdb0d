"""docs/keys.md has every key that the configuration's types know, and is as they are now."""

import re

import pytest

from serve_app.config import Config, RemoteModel, RouterUserConfig, keys_at
from tests.package.keys import PAGE, TABLES, default, meanings, page, rows, value


def kinds() -> set[type[Config]]:
    """Every type of a configuration, wherever it is used."""
    found: set[type[Config]] = set()
    left = [Config]
    while left:
        below = left.pop().__subclasses__()
        found |= set(below)
        left += below
    return {kind for kind in found if kind.__module__.startswith("serve_app.config")}


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == page(), "write it anew with: make keys"


@pytest.mark.parametrize("kind", sorted(kinds(), key=lambda kind: kind.__name__))
def test_every_key_has_a_meaning(kind: type[Config]) -> None:
    said = meanings(kind)
    assert set(said) == set(kind.model_fields)
    assert [name for name, text in said.items() if not text.endswith((".", "`."))] == []


def test_every_type_of_the_configuration_is_on_the_page() -> None:
    keys = {key for kind in kinds() for key in keys_at(kind, ())}
    found = {part.removesuffix("[]") for key in re.findall(r"^\| `([^`]+)`", PAGE.read_text(), re.M)
             for part in key.split(".")}  # fmt: skip
    assert keys - found == set()
    assert len(keys) > 50


def test_keys_below_keys_are_written_with_their_way() -> None:
    keys = [row[0] for row in rows(RemoteModel, None)]
    assert "`batching.maxBatchSize`" in keys
    assert "`inputs[].datatype`" in keys
    assert "`resources.num_gpus`" in keys
    assert "`routing.NAME.defaultVersion`" in [row[0] for row in rows(RouterUserConfig, None)]


def test_values_and_defaults_are_those_of_the_types() -> None:
    found = {key: (kind, standard) for key, kind, standard, _ in rows(RouterUserConfig, None)}
    assert found["`limits.timeout`"] == ("number, more than 0", "`60`")
    assert found["`cors.allowOrigins`"][1] == "required"
    fields = RemoteModel.model_fields
    assert value(fields["versions"].annotation) == ("`all`, `latest`, or the keys below, or list: text")
    assert default(fields["batching"]) == "none"


def test_there_is_a_table_for_each_place() -> None:
    text = PAGE.read_text()
    assert all(f"\n## {heading}\n" in text for heading, _, _ in TABLES)
