"""A change that was refused stands in the index, beside what goes on, until a later one is accepted."""

import pytest

from serve_app.core.directory import INLINE, Directory, Model
from serve_app.core.observer import Observers
from serve_app.core.refusals import Refusals
from serve_app.errors import NotFound, Unavailable
from tests.unit.planes import Backend, description, plane, targets


def of(model: Model, source: str, *versions: str) -> None:
    model.serve(source, description(versions=versions), targets(Backend(), versions))


def rows(directory: Directory) -> list[tuple[str, str, str, str]]:
    p = plane()
    p.directory = directory
    return [(one["name"], one["version"], one["state"], one["reason"]) for one in p.repository_index()]


@pytest.fixture
def directory() -> Directory:
    return Directory(Observers())


def test_what_serves_stays_ready_and_says_why_it_is_not_what_was_wanted(directory):
    model = directory.expect("m", INLINE)
    of(model, INLINE, "1")
    model.refused.refuse(INLINE, "version 3: no such file", ["1", "3"])
    reason = "a change was refused: version 3: no such file"
    assert rows(directory) == [("m", "1", "READY", reason), ("m", "3", "UNAVAILABLE", reason)]
    assert model.ready
    assert directory.refusals() == {"m": "version 3: no such file"}
    model.refused.accept(INLINE)
    assert rows(directory) == [("m", "1", "READY", "")]
    assert directory.refusals() == {"m": ""}


def test_a_version_that_was_refused_is_unavailable_with_the_reason(directory):
    model = directory.expect("m", INLINE)
    of(model, INLINE, "1")
    model.refused.refuse(INLINE, "no such file", ["3"])
    with pytest.raises(Unavailable, match="model 'm' version 3 was refused: no such file"):
        model.pick("3")
    with pytest.raises(NotFound):
        model.pick("2")
    assert (model.pick().number, model.pick("1").number) == ("1", "1")


def test_a_refusal_is_its_sources_alone(directory):
    model = directory.expect("m", "m")
    of(model, "m", "1")
    of(model, "m-next", "2")
    model.refused.refuse("m-next", "no room")
    assert [row[3] for row in rows(directory)] == ["", "a change was refused: no room"]
    directory.remove("m", "m-next")
    assert directory.refusals() == {"m": ""}


def test_a_version_that_cannot_be_loaded_says_so_and_its_siblings_nothing(directory):
    model = directory.expect("m", INLINE)
    of(model, INLINE, "1", "2")
    model.refused.accept(INLINE, {"2": "no such file", "3": "a wrong one"})
    assert rows(directory) == [
        ("m", "1", "READY", ""),
        ("m", "2", "READY", "a change was refused: no such file"),  # what it was before
        ("m", "3", "UNAVAILABLE", "a change was refused: a wrong one"),
    ]
    with pytest.raises(Unavailable, match="model 'm' version 3 was refused: a wrong one"):
        model.pick("3")
    assert directory.refusals() == {"m": "no such file"}
    model.refused.accept(INLINE, {})
    assert [row[3] for row in rows(directory)] == ["", ""]


def test_a_model_that_never_loaded_has_one_row(directory):
    directory.expect("m", INLINE, "no such file").refused.refuse(INLINE, "no such file", ["1", "2"])
    assert rows(directory) == [("m", "", "UNAVAILABLE", "no such file")]
    assert directory.refusals() == {"m": "no such file"}


def test_an_application_that_never_came_has_one_row_beside_another_of_its_model(directory):
    of(directory.expect("m", "m"), "m", "1")
    directory.expect("m", "m-next", "no room").refused.refuse("m-next", "no room", ["2"])
    assert [row[1:3] for row in rows(directory)] == [("1", "READY"), ("", "UNAVAILABLE")]


def test_no_credentials_are_shown():
    refusals = Refusals()
    refusals.refuse("app", "storageUri https://me:secret@host/m?sig=1 no such file", ["2"])
    assert refusals.reason == "storageUri https://***@host/m?*** no such file"
    assert "secret" not in refusals.of("app")
