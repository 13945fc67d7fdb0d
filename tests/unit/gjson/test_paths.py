"""Right values are those of GJSON's SYNTAX.md, and of its Go code (1.18) for what that leaves open."""

from typing import Any

import pytest

from serve_app.gjson import read

GONE = "nothing"
PEOPLE: dict[str, Any] = {
    "name": {"first": "Tom", "last": "Anderson"},
    "age": 37,
    "children": ["Sara", "Alex", "Jack"],
    "fav.movie": "Deer Hunter",
    "friends": [
        {"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"]},
        {"first": "Roger", "last": "Craig", "age": 68, "nets": ["fb", "tw"]},
        {"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"]},
    ],
    "nothing": None,
    "@type": "people",
}
VALUES: dict[str, Any] = {
    "vals": [
        {"a": 1, "b": "data"}, {"a": 2, "b": True}, {"a": 3, "b": False}, {"a": 4, "b": "0"},
        {"a": 5, "b": 0}, {"a": 6, "b": "1"}, {"a": 7, "b": 1}, {"a": 8, "b": "true"},
        {"a": 9, "b": False}, {"a": 10, "b": None}, {"a": 11},
    ]
}  # fmt: skip
KSERVE = {
    "source": "client",
    "instances": [
        {"name": "blue", "intval": 0, "strval": "kserve"},
        {"name": "green", "intval": 12, "strval": "1red-server1"},
    ],
    "predictions": [{"label": "cat"}, {"label": "dog"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("name.last", "Anderson"),
        ("age", 37),
        ("children.1", "Alex"),
        ("children.3", GONE),
        ("children.first", GONE),
        ("nothing", None),  # null is there
        ("nothing.more", GONE),
        ("friends.1.first", "Roger"),
        ("child*.2", "Jack"),
        ("c?ildren.0", "Sara"),
        ("name.l*t", "Anderson"),
        ("fav\\.movie", "Deer Hunter"),
        ("fav.movie", GONE),
        ("@type", "people"),  # no modifier is called so
        ("children.#", 3),
        ("age.#", GONE),
        ("friends.#.age", [44, 68, 47]),
        ("friends.#.pets", []),  # is there
        ('friends.#(last=="Murphy").first', "Dale"),
        ('friends.#(last=="Murphy")#.first', ["Dale", "Jane"]),
        ("friends.#(age>45)#.last", ["Craig", "Murphy"]),
        ('friends.#(first%"D*").last', "Murphy"),
        ('friends.#(first!%"D*").last', "Craig"),
        ('children.#(!%"*a*")', "Alex"),
        ('children.#(%"*a*")#', ["Sara", "Jack"]),
        ('friends.#(nets.#(=="fb"))#.first', ["Dale", "Roger"]),
        ('friends.#[last=="Murphy"].first', "Dale"),  # as it was written before 1.3
        ("friends.#(last=Murphy).first", "Dale"),
        ("friends.#( last == Murphy ).first", "Dale"),
        ("friends.#(last==murphy)", GONE),
        ("friends.#(last==nobody)#", []),  # is there: an array, be it empty
        ("friends.#(age>=68).first", "Roger"),
        ("friends.#(age<45).first", "Dale"),
        ("friends.#(age<=44).first", "Dale"),
        ("friends.#(age!=44).first", "Roger"),
        ('friends.#(age>"x").first', "Dale"),  # what is no number is 0 beside one
        ("friends.#(last>M)#.first", ["Dale", "Jane"]),
        ("friends.#(nets)#.first", ["Dale", "Roger", "Jane"]),
        ("friends.#(pets)", GONE),
        ("friends.#(nets==3)", GONE),  # arrays are no values to compare
        ("friends|0|first", "Dale"),
        ("friends|#", 3),
        ('friends.#(last="Murphy")#|first', GONE),
        ('friends.#(last="Murphy")#.0', []),
        ('friends.#(last="Murphy")#|0.first', "Dale"),
        ('friends.#(last="Murphy")#.#', []),
        ('friends.#(last="Murphy")#|#', 2),
        ("@this.age", 37),
        ("[age,nobody,name.first]", [37, "Tom"]),
        ('{name.first,age,"the_murphys":friends.#(last="Murphy")#.first}',
         {"first": "Tom", "age": 37, "the_murphys": ["Dale", "Jane"]}),
        ("{nobody}", {}),  # is there
        ("[@this].#(age==37).name.first", "Tom"),
        ("children.#(==Alex)", "Alex"),
        ("nothing.#(a==1)", GONE),
        ("missing.#(a==1)#", GONE),
    ],
)  # fmt: skip
def test_what_a_path_finds(path: str, found: Any) -> None:
    asked = read(path)
    assert asked.exists(PEOPLE) == (found != GONE)
    if found != GONE:
        assert asked.of(PEOPLE) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("vals.#(b==~true)#.a", [2, 6, 7, 8]),
        ("vals.#(b==~false)#.a", [3, 4, 5, 9, 10, 11]),
        ("vals.#(b==~null)#.a", [10, 11]),
        ("vals.#(b==~*)#.a", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("vals.#(b!=~*)#.a", [11]),
        ("vals.#(b==true)#.a", [2, 5, 8]),  # what is no number is 0 beside one
        ("vals.#(b==false)#.a", [3, 5, 9]),
        ("vals.#(b>false)#.a", [2, 7, 8]),
        ("vals.#(b>=anything)#.a", [1, 2, 5, 7, 8]),
        ("vals.#(b==null)#.a", [5]),
    ],
)
def test_truth_among_values(path: str, found: Any) -> None:
    assert read(path).of(VALUES) == found


@pytest.mark.parametrize(
    ("path", "there"),
    [
        # The conditions of KServe's samples and tests.
        ("[@this].#(source==client)", True),
        ("[@this].#(source==server)", False),
        ("[@this].#(decision_picker==ERROR)", False),
        ("instances.#(intval>10)", True),
        ("instances.#(intval>20)", False),
        ("instances.#(strval%*red-server*)", True),
        ('predictions.#(label=="dog")', True),
        ('predictions.#(label=="bird")', False),
        ('instances.#(modelId=="1")', False),
    ],
)
def test_conditions_of_kserve(path: str, there: bool) -> None:
    assert read(path).exists(KSERVE) == there


@pytest.mark.parametrize("value", [[], 3, "text", None, True, [[1]], ["a", {"b": 1}]])
def test_a_path_may_be_asked_of_any_value(value: Any) -> None:
    for path in ("a", "a.b", "#(a==1)", "#", "*", "@this", "a|b", "[a]"):
        read(path).exists(value)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("children.@reverse", "the modifier @reverse isn't supported, @this is"),
        ('@pretty:{"sortKeys":true}', "the modifier @pretty isn't supported"),
        ("!true", r"literals \(!true\) aren't supported"),
        ("..#", "JSON lines"),
        ("a..b", "a part of it is empty"),
        ("a.", "a part of it is empty"),
        ("friends.#(last==", "the ( at 10 isn't closed".replace("(", r"\(")),
        ('friends.#(last=="x)', "the quote at 17 isn't closed"),
        ("friends.#(a==1)b", "'b' follows a query"),
        ("a.[b]", r"\[ is supported at the beginning alone"),
        ("friends.#(a|b==1)", r"a \| in a query"),
        ("a\\.b*", "wildcard"),
        ("a" * 201, "more than 200 characters"),
        ("(" * 200, "isn't closed"),
    ],
)
def test_what_is_no_path_or_not_supported(path: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(path)


def test_a_pattern_takes_no_long_time() -> None:
    path = read("a.#(%" + "*a" * 60 + "*b)")
    assert not path.exists({"a": ["a" * 100_000]})
