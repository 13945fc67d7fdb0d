"""Which models are shown where there are more than a report holds."""

from serve_app.observability.shown import Shown


def test_no_report_has_more_than_it_holds_and_who_is_asked_for_is_shown() -> None:
    shown, said = Shown[int](10, 12.0), list[tuple[float, int]]()
    for now in range(0, 400, 5):
        busy = range(5) if now < 300 else range(50, 60)
        shown.noted |= dict.fromkeys([*busy, now % 100])
        said += [(now, key) for key in shown.keys(float(now))]
    for at, _ in said:
        assert len({key for when, key in said if at - 12 < when <= at}) <= 10
    assert {key for at, key in said if at == 295} >= set(range(5))
    assert len({key for at, key in said if at == 395} & set(range(50, 60))) >= 9


def test_where_there_is_room_all_are_shown_all_the_time() -> None:
    shown = Shown[str](3, 12.0)
    shown.noted |= dict.fromkeys("abc")
    assert [shown.keys(now) for now in (0.0, 100.0)] == [["a", "b", "c"]] * 2
    shown.noted["d"] = None
    assert shown.keys(200.0) == ["b", "c", "d"]
    shown.forget("b")
    assert shown.keys(220.0) == ["a", "c", "d"]
    assert shown.known == set("acd")
