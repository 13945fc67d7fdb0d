import pytest

from serve_app.errors import NotFound, Unavailable
from serve_app.routing.versions import choose


@pytest.mark.parametrize(
    ("asked", "default", "known", "chosen"),
    [
        ("", None, ["1"], "1"), ("", None, ["1", "9", "10"], "10"), ("", None, ["10", "9"], "10"),
        ("9", None, ["9", "10"], "9"), ("", "9", ["9", "10"], "9"), ("10", "9", ["9", "10"], "10"),
    ],
)  # fmt: skip
def test_the_asked_one_then_the_default_then_the_newest(asked, default, known, chosen):
    assert choose("m", asked, default, known) == chosen


def test_an_unknown_version_names_those_that_exist():
    with pytest.raises(NotFound, match="model 'm' has no version '3'; it has 1, 2"):
        choose("m", "3", None, ["1", "2"])
    with pytest.raises(NotFound):
        choose("m", "01", None, ["1"])


def test_a_default_that_is_not_loaded_is_no_ones_typing_error():
    with pytest.raises(Unavailable, match="default version '3' isn't loaded; it has 1"):
        choose("m", "", "3", ["1"])
    with pytest.raises(Unavailable, match="no version loaded"):
        choose("m", "", None, [])
