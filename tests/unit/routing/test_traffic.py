"""Whose request gets which version: exactly, fairly, the same for one user, and never back."""

import itertools
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serve_app.config import Traffic, parse
from serve_app.routing.traffic import Split

KEYS = [f"user-{number}" for number in range(2000)]
VERSIONS = ("1", "2", "3", "4")


@dataclass
class Request:
    """What a request says, by what is asked of it."""

    headers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    principal: str = ""

    def header(self, names) -> str:
        return next((value for name, value in self.headers.items() if name in names), "")

    def parameter(self, name: str) -> str:
        return self.parameters.get(name, "")

    def first(self, name: str) -> str:
        return self.inputs.get(name, "")


PLAIN = Request()


def split(weights: dict[str, float] | None = None, ready=VERSIONS, model: str = "m", **more) -> Split:
    said = {**more, **({"weights": weights} if weights else {})}
    return Split(model, parse(Traffic, said), ready)


def of(weights: dict[str, float], keys=KEYS, **more) -> list[str]:
    made = split(weights, **more)
    return [made.of(key) for key in keys]


def weights(drawn: list[int]) -> dict[str, float]:
    total = sum(drawn)
    return {str(at): one * 100 / total for at, one in enumerate(drawn, 1)}


some_weights = st.lists(st.integers(0, 50), min_size=2, max_size=4).filter(any).map(weights)


def test_the_split_is_fair_in_the_short():
    """Chi-square over 100 beginnings of 10,000 requests: none is worse than chance would be."""
    asked = {"1": 89.0, "2": 10.0, "3": 1.0}
    for _ in range(100):
        made = split(asked)
        seen = Counter(made.version(PLAIN) for _ in range(10_000))
        found = stats.chisquare([seen[one] for one in asked], [one * 100 for one in asked.values()])
        assert found.pvalue > 0.5


@given(some_weights, st.integers(1, 1000))
def test_any_stretch_has_its_shares_to_within_a_few(asked, length):
    made = split(asked)
    seen = Counter(made.version(PLAIN) for _ in range(length))
    for version, weight in asked.items():
        assert abs(seen[version] - length * weight / 100) < 6


@pytest.mark.parametrize("rhythm", range(2, 12))
def test_no_rhythm_of_requests_meets_one_version_only(rhythm):
    made = split({"1": 50, "2": 50})
    seen = Counter(
        version
        for at, version in enumerate(made.version(PLAIN) for _ in range(rhythm * 1000))
        if at % rhythm == 0
    )
    assert abs(seen["1"] - 500) < 25


@pytest.mark.parametrize(
    "key",
    [
        "user-{}".format, "{:08d}".format, "{:x}".format, "{}000".format, "{}@example.com".format,
        lambda n: f"10.0.{n // 256}.{n % 256}", lambda n: str(uuid.UUID(int=Random(n).getrandbits(128))),
    ],
)  # fmt: skip
def test_users_are_split_by_the_weights(key):
    """Chi-square over 20 sets of users, as far as chance allows at one in 100,000."""
    asked = {"1": 89.0, "2": 10.0, "3": 1.0}
    for at in range(20):
        seen = Counter(of(asked, list(map(key, range(at * 3000, at * 3000 + 3000))), model=f"m{at}"))
        found = stats.chisquare([seen[one] for one in asked], [one * 30 for one in asked.values()])
        assert found.pvalue > 1e-5


def test_chance_is_as_wide_as_chance_is():
    """No more even than chance, either: 400 models' p-values are spread as they should be."""
    keys, asked = KEYS[:500], {"1": 70.0, "2": 20.0, "3": 10.0}
    found = []
    for model in range(400):
        seen = Counter(of(asked, keys, model=f"m{model}"))
        found.append(
            stats.chisquare([seen[one] for one in asked], [one * 5 for one in asked.values()]).pvalue
        )
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_as_a_share_grows_nobody_goes_back():
    before = dict.fromkeys(KEYS, "1")
    for percent in (0, 0.1, 1, 5, 10, 25, 50, 75, 99, 100):
        now = dict(zip(KEYS, of({"1": 100 - percent, "2": percent}), strict=True))
        assert all(now[key] == "2" for key in KEYS if before[key] == "2")
        before = now
    assert set(before.values()) == {"2"}


@given(some_weights, some_weights)
def test_keys_move_only_to_what_grew_in_proportion(first, second):
    keys = KEYS[:100]
    for was, now in zip(of(first, keys), of(second, keys), strict=True):
        if was != now:
            grew = second.get(now, 0) * first.get(was, 0)
            assert grew > second.get(was, 0) * first.get(now, 0)


def test_a_version_that_comes_and_goes_moves_its_own_keys_alone():
    asked = {"1": 50, "2": 30, "3": 20}
    whole, without = of(asked), of(asked, ready=("1", "3"))
    assert all(a == b for a, b in zip(whole, without, strict=True) if a != "2")
    moved = Counter(b for a, b in zip(whole, without, strict=True) if a == "2")
    assert moved["1"] / moved["3"] == pytest.approx(50 / 20, rel=0.25)


def test_every_process_gives_a_user_the_same():
    program = (
        "from serve_app.config import Traffic; from serve_app.routing.traffic import Split\n"
        "made = Split('m', Traffic(weights={'1': 70, '2': 30}), ('1', '2'))\n"
        "print(''.join(made.of(f'user-{n}') for n in range(200)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "".join(of({"1": 70, "2": 30}, KEYS[:200]))


def test_a_user_has_the_version_that_an_earlier_tandem_gave():
    """As decision 19 has it: no release may move users, so these are written down."""
    made = split({"1": 70, "2": 20, "3": 10}, ready=("1", "2", "3"), model="digits")
    found = "".join(made.of(f"user-{number}") for number in range(64))
    assert found == "1111131112121121122133313111111111133111311112111211121121111111"


def test_users_that_are_remembered_have_what_is_drawn_and_others_weights_are_drawn_anew():
    made = split({"1": 50, "2": 50})
    twice = [[made.of(key) for key in KEYS] for _ in range(2)]
    assert twice == [of({"1": 50, "2": 50})] * 2
    made.over(["2"])
    assert {made.of(key) for key in KEYS} == {"2"}


def test_what_is_remembered_is_short_and_few():
    """A key may come out of a body, and be as long as that."""
    made = split({"1": 50, "2": 50})
    long = [f"{number:0200}" for number in range(20_000)]
    assert [made.of(key) for key in long] == of({"1": 50, "2": 50}, long)
    assert made._remembered.cache_info().currsize == 0
    for number in range(20_000):
        made.of(f"{number}")
    assert made._remembered.cache_info().currsize == 16_384


def test_another_model_has_another_order_of_users():
    here, there = (of({"1": 50, "2": 50}, model=name) for name in ("a", "b"))
    alike = sum(a == b for a, b in zip(here, there, strict=True))
    assert 0.45 < alike / len(KEYS) < 0.55


@pytest.mark.parametrize(
    ("sticky", "request_"),
    [
        ({"header": "X-User"}, lambda key: Request(headers={"x-user": key})),
        ({"parameter": "user"}, lambda key: Request(parameters={"user": key})),
        ({"input": "user"}, lambda key: Request(inputs={"user": key})),
        ({"principal": True}, lambda key: Request(principal=key)),
        ([{"header": "a"}, {"header": "x-user"}], lambda key: Request(headers={"x-user": key})),
    ],
)
def test_a_user_is_known_by(sticky, request_):
    made = split({"1": 50, "2": 50}, sticky=sticky)
    for key in KEYS[:50]:
        assert {made.version(request_(key)) for _ in range(5)} == {made.of(key)}


def test_who_says_nothing_takes_turns():
    made = split({"1": 50, "2": 50}, sticky={"header": "x-user"})
    assert {made.version(PLAIN) for _ in range(10)} == {"1", "2"}


@pytest.mark.parametrize("key", ["", "é", "\udcff", "x" * 10_000, "a\0b"])
def test_any_key_is_one(key):
    assert split({"1": 50, "2": 50}).of(key) in ("1", "2")


@pytest.mark.parametrize(
    ("rule", "request_", "fits"),
    [
        ({"header": "X-Tester", "value": "yes"}, Request(headers={"x-tester": "yes"}), True),
        ({"header": "x-tester", "value": "yes"}, Request(headers={"x-tester": "no"}), False),
        ({"header": "x-tester", "value": ["no", "yes"]}, Request(headers={"x-tester": "no"}), True),
        ({"header": "x-tester"}, Request(headers={"x-tester": "anything"}), True),
        ({"header": "x-tester"}, PLAIN, False),
        ({"parameter": "stage", "value": "new"}, Request(parameters={"stage": "new"}), True),
        ({"principal": "ann"}, Request(principal="ann"), True),
        ({"principal": "ann"}, Request(principal="bob"), False),
        ({"principal": "ann"}, PLAIN, False),
    ],
)
def test_what_matches_goes_to_its_version(rule, request_, fits):
    made = split({"1": 100, "3": 0}, match=[{**rule, "version": "3"}])
    assert made.version(request_) == ("3" if fits else "1")


def test_the_first_rule_that_fits_and_whose_version_is_ready():
    rules = [{"header": "a", "version": one} for one in ("2", "3")]
    asked = Request(headers={"a": "1"})
    assert split({"1": 100}, match=rules).version(asked) == "2"
    assert split({"1": 100}, match=rules, ready=("1", "3")).version(asked) == "3"
    assert split({"1": 100}, match=rules, ready=("1",)).version(asked) == "1"


def test_what_is_not_ready_leaves_its_share():
    made = split({"1": 60, "2": 30, "3": 10}, ready=("2", "3"))
    assert made.shares == pytest.approx({"2": 75, "3": 25})
    seen = Counter(made.version(PLAIN) for _ in range(1000))
    assert seen == pytest.approx({"2": 750, "3": 250}, abs=5)
    assert made.main == "2"


def test_nothing_ready_is_nobody():
    made = split({"1": 100, "2": 0}, ready=("2",))
    assert (made.version(PLAIN), made.main, made.shares) == ("", "", {})


def test_most_of_the_requests_is_the_main_version():
    assert split({"1": 30, "2": 70}).main == "2"
    assert split({"1": 50, "2": 50}).main == "2"
    assert split({"9": 50, "10": 50}, ready=("9", "10")).main == "10"


def test_a_change_of_what_is_ready_keeps_the_turn():
    """Whoever changes often doesn't begin with the same version each time."""
    made = split({"1": 50, "2": 50})
    seen: Counter[str] = Counter()
    for _ in itertools.repeat(None, 1000):
        made.over(VERSIONS)
        seen[made.version(PLAIN)] += 1
    assert abs(seen["1"] - 500) < 6
