"""A rollout's way: what leads from which phase to which, and what is recorded of it."""

import pytest

from serve_app.errors import InvalidArgument
from serve_app.releases.rollout import (
    Evidence,
    Refused,
    abort,
    pause,
    promote,
    refuse_second,
    resume,
    start,
    step,
)
from tests.unit.releases.rollout.rolled import BAD, FINE, STEPS, config, errors, running

NOTHING = Evidence()


def test_it_begins_when_its_version_is_ready():
    state, weights, (record,) = start("m", config(), "1", 10.0, "r1", by="anna")
    assert (state.phase, weights) == ("pending", {"2": 0, "1": 100})
    assert (record["what"], record["by"], record["rollout"]) == ("start", "anna", "r1")
    state, weights, records = step(state, NOTHING, 20.0, ready=False)
    assert (state.phase, weights, records) == ("pending", {"2": 0, "1": 100}, [])
    state, weights, (record,) = step(state, NOTHING, 30.0)
    assert (state.phase, weights, record["what"]) == ("running", {"2": 5, "1": 95}, "step")


def test_a_version_that_is_never_ready_is_rolled_back():
    state, _, _ = start("m", config(maxDuration="10m"), "1", 0.0, "r1")
    state, weights, (record,) = step(state, NOTHING, 600.0, ready=False)
    assert (state.phase, weights) == ("rolledBack", {"2": 0, "1": 100})
    assert record["why"] == "its version was never ready"


def test_a_good_version_goes_up_the_steps_and_is_promoted():
    state = running()
    seen = []
    for second in range(1, 140):
        state, weights, records = step(state, FINE, float(second))
        seen += [(second, record["what"], weights["2"]) for record in records]
    # 60 s; then 1,000 requests at 300 a second; then 30 s.
    assert seen == [(60, "step", 25), (64, "step", 50), (94, "promote", 100)]
    assert (state.phase, state.over) == ("promoted", True)
    assert step(state, BAD, 999.0) == (state, {"2": 100, "1": 0}, [])


def test_a_bad_version_is_rolled_back_in_the_middle_of_a_step_and_the_record_has_the_numbers():
    state, weights, (record,) = step(running(), BAD, 3.0)
    assert (state.phase, weights) == ("rolledBack", {"2": 0, "1": 100})
    assert record["why"] == "version 2 failed 30 of 300 (10.000%), version 1 3 of 700 (0.429%)"
    assert (record["time"], record["phase"], record["alpha"]) == (3.0, "rolledBack", 0.05)
    assert record["evidence"]["rollback"] >= record["needed"]["rollback"] == 20
    (metric,) = record["metrics"]
    assert (metric["name"], metric["margin"]) == ("errorRate", 0.01)
    assert metric["canary"] == {"requests": 300, "errors": 30}
    assert metric["baseline"] == {"requests": 700, "errors": 3}
    assert metric["more"]["rollback"] == 0
    assert metric["more"]["promote"] is None
    assert "hypergeometric" in metric["test"]


def test_a_record_says_what_it_would_have_taken():
    _, _, records = step(running(), errors((100, 0), (1900, 6)), 60.0)
    (metric,) = records[0]["metrics"]
    more = metric["more"]["promote"]
    assert 0 < metric["evidence"]["promote"] < 20
    assert metric["more"]["rollback"] is None
    # As many more as it says, of the same kind, are about enough.
    state = running()
    for part in range(1 + more // 100 + 1):
        state, _, _ = step(state, errors((100, 0), (1900, 6)), float(part))
    assert 20 < step(state, NOTHING, 60.0)[2][0]["evidence"]["promote"] < 200


def test_two_steps_of_time_and_requests_need_both():
    state = running(steps=[{"weight": 5, "duration": 60, "requests": 500}, {"weight": 9, "pause": True}])
    assert step(state, FINE, 61.0)[0].step == 0
    state = step(state, FINE, 30.0)[0]
    state = step(state, FINE, 31.0)[0]
    assert (state.step, state.answered) == (0, 600)
    assert step(state, NOTHING, 60.0)[0].step == 1


def test_a_step_that_pauses_waits_for_somebody():
    steps = [{"weight": 5, "duration": 10, "pause": True}, {"weight": 25, "duration": 10}]
    state, _, records = step(running(steps=steps), FINE, 10.0)
    assert (state.phase, records[0]["what"]) == ("paused", "pause")
    state, weights, records = step(state, FINE, 9999.0)
    assert (state.phase, weights["2"], records) == ("paused", 5, [])
    state, weights, (record,) = resume(state, 10_000.0, by="ben")
    assert (state.phase, weights["2"], record["what"], record["by"]) == ("running", 25, "step", "ben")
    state, _, _ = step(state, FINE, 10_010.0)
    assert state.phase == "promoted"


def test_paused_by_hand_the_time_stands_still_and_what_is_worse_is_rolled_back():
    state, weights, _ = pause(step(running(), FINE, 30.0)[0], 30.0)
    assert (state.phase, weights["2"]) == ("paused", 5)
    again = resume(step(state, FINE, 500.0)[0], 1000.0)[0]
    assert again.phase == "running"
    assert step(again, FINE, 1029.0)[0].step == 0
    assert step(again, FINE, 1030.0)[0].step == 1
    state, weights, _ = step(state, BAD, 400.0)
    assert (state.phase, weights["2"]) == ("rolledBack", 0)


def test_no_more_requests_for_what_is_in_doubt():
    doubt = errors((100, 4), (1900, 10))
    state, weights, (record,) = step(running(), doubt, 60.0)
    assert (state.phase, weights["2"], record["what"]) == ("running", 5, "hold")
    assert 20**0.5 <= record["evidence"]["rollback"] < 20
    assert step(state, NOTHING, 70.0)[2] == []  # said once
    for second in range(70, 80):
        state, weights, records = step(state, errors((100, 0), (1900, 10)), float(second))
        if records:
            break
    assert (records[0]["what"], weights["2"]) == ("step", 25)


def test_held_after_a_pause_doesn_t_pause_again():
    steps = [{"weight": 5, "pause": True}, {"weight": 25, "duration": 10}]
    state = step(running(steps=steps), errors((100, 4), (1900, 10)), 1.0)[0]
    state, _, (record,) = resume(state, 5.0)
    assert (state.phase, record["what"]) == ("running", "hold")
    assert step(state, NOTHING, 6.0)[0].phase == "running"


@pytest.mark.parametrize(("then", "phase"), [("rollback", "rolledBack"), ("promote", "promoted")])
def test_where_nothing_comes_it_is_inconclusive_and_then_what_was_chosen(then, phase):
    state = running(steps=[{"weight": 5, "duration": 60}], inconclusive={"hold": "10m", "then": then})
    state, weights, (record,) = step(state, NOTHING, 60.0)
    assert (state.phase, weights["2"], record["what"]) == ("inconclusive", 5, "inconclusive")
    assert "version 2 failed 0 of 0" in record["why"]
    assert step(state, NOTHING, 659.0)[2] == []
    state, weights, (record,) = step(state, NOTHING, 660.0)
    assert (state.phase, record["what"]) == (phase, then)
    assert record["evidence"] == {"rollback": 1, "promote": 1}


@pytest.mark.parametrize(("evidence", "phase"), [(FINE, "promoted"), (BAD, "rolledBack")])
def test_what_comes_while_it_is_inconclusive_still_decides(evidence, phase):
    state = step(running(steps=[{"weight": 5, "duration": 60}]), NOTHING, 60.0)[0]
    for second in range(61, 70):
        state, _, _ = step(state, evidence, float(second))
    assert state.phase == phase


def test_the_longest_duration_cuts_steps_off():
    state = running(maxDuration=30)
    assert step(state, NOTHING, 29.0)[0].phase == "running"
    assert step(state, NOTHING, 30.0)[0].phase == "inconclusive"
    for second in range(1, 30):
        state = step(state, FINE, float(second))[0]
    state, _, (record,) = step(state, FINE, 30.0)
    assert (state.phase, record["step"]) == ("promoted", 0)


def test_a_dry_run_goes_on_records_what_it_would_do_and_waits():
    state, weights, (record,) = step(running(dryRun=True), BAD, 3.0)
    assert (state.phase, weights["2"], record["what"]) == ("running", 5, "rollback")
    assert (record["dryRun"], state.advice) == (True, "rollback")
    seen = []
    for second in range(4, 300):
        state, weights, records = step(state, BAD, float(second))
        seen += [record["what"] for record in records]
    assert seen == ["step", "step", "pause"]
    assert (state.phase, weights["2"], state.advice) == ("paused", 50, "rollback")
    with pytest.raises(Refused, match="the dry run of 'm' is over: promote or abort it"):
        resume(state, 301.0)
    assert abort(state, 301.0)[0].phase == "aborted"


def test_a_dry_run_of_a_good_version_promotes_nothing():
    state = running(dryRun=True)
    for second in range(1, 200):
        state, weights, _ = step(state, FINE, float(second))
    assert (state.phase, state.advice, weights["2"]) == ("paused", "promote", 50)
    assert promote(state, 200.0)[1] == {"2": 100, "1": 0}


def test_verbs_of_people():
    state = running()
    for verb, phase, share in ((abort, "aborted", 0), (promote, "promoted", 100)):
        done, weights, (record,) = verb(state, 5.0, by="anna")
        assert (done.phase, weights["2"], record["by"]) == (phase, share, "anna")
        for other in (abort, promote, pause, resume):
            with pytest.raises(Refused, match=f"the rollout of 'm' is {phase}: it can't be"):
                other(done, 6.0)
    with pytest.raises(Refused, match="is running: it can't be resumed"):
        resume(state, 5.0)


def test_two_rollouts_of_one_model_are_refused():
    state = running()
    refuse_second("other", [state])
    refuse_second("m", [abort(state, 5.0)[0]])
    with pytest.raises(InvalidArgument, match="a rollout of 'm' to version 2 is running: abort or"):
        refuse_second("m", [state])


def test_the_version_that_serves_is_no_new_one():
    with pytest.raises(Refused, match="version 2 of 'm' serves already"):
        start("m", config(), "2", 0.0, "r1")
    assert start("m", config(baseline=3), "2", 0.0, "r1")[0].baseline == "3"


def test_a_metric_in_dry_run_decides_nothing():
    metrics = [
        {"kind": "errorRate", "margin": 0.01, "dryRun": True},
        {"kind": "disagreement", "margin": 0.005},
    ]
    state, _, records = step(running(metrics=metrics), BAD, 60.0)
    assert state.phase == "running"
    seen, other = records[0]["metrics"]
    assert (seen["dryRun"], seen["evidence"]["rollback"] > 1e3) == (True, True)
    assert "dryRun" not in other
    assert STEPS[0]["duration"] == 60


def test_what_stays_in_doubt_is_inconclusive():
    doubt, rest = errors((100, 4), (1900, 10)), errors((20, 0), (380, 2))
    state = step(running(inconclusive={"hold": 30}), doubt, 60.0)[0]
    assert state.held == 60
    state, _, records = step(state, NOTHING, 89.0)
    assert (state.phase, records) == ("running", [])
    over, weights, (record,) = step(state, NOTHING, 90.0)
    assert (over.phase, weights["2"], record["what"]) == ("rolledBack", 0, "rollback")
    assert record["why"].startswith("in doubt for 30 s: version 2 failed 4 of 100")
    assert step(state, rest, 89.5)[0].phase == "running"


def test_more_for_bad_than_against_it_is_doubt_as_well():
    state, _, (record,) = step(running(), errors((200, 3), (3800, 19)), 60.0)
    assert record["what"] == "hold"
    assert record["evidence"]["rollback"] < 20**0.5
    assert record["evidence"]["promote"] < 1
    assert state.held == 60
