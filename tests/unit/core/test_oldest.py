"""Who was used longest ago: as a look at all of them each time would say."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.oldest import Oldest


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["use", "drop", "find"]))))
def test_it_is_the_oldest_that_is_free(steps):
    used = dict[str, float]()
    oldest = Oldest(lambda name: used[name])
    for now, (name, verb) in enumerate(steps):
        if verb == "use":
            used[name] = now
        elif verb == "drop":
            used.pop(name, None)
        else:  # but for the one that is named, which is busy
            wanted = min((one for one in used if one != name), key=lambda one: used[one], default=None)
            assert oldest.first(used, lambda one, busy=name: one != busy) == wanted


def test_all_of_them_are_looked_at_once_in_a_while():
    names, asked = [str(number) for number in range(100)], Counter[str]()

    def used(name: str) -> float:
        asked[name] += 1
        return int(name)

    oldest = Oldest(used)
    for at in range(50):
        assert oldest.first(names, lambda name: True) == str(at)
        names.remove(str(at))
    assert sum(asked.values()) <= 200
