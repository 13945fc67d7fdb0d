"""`admin` in the Router's args, and the deployment that it brings."""

from tests.unit.tools.check.configs import changed

ARGS = "{maxOngoingRequests: 100}"
STEWARD = "      - {name: Steward, ray_actor_options: {num_cpus: 0.1}}\n      - name: Router\n"


def test_with_it_there_is_a_steward_to_be_set(check):
    text = changed(ARGS, "{admin: {timeout: 5}}").replace("      - name: Router\n", STEWARD)
    assert check(text) == []


def test_without_it_there_is_none(check):
    text = changed("      - name: Router\n", STEWARD)
    (found,) = check(text)
    assert "no deployment 'Steward' here" in found


def test_what_is_wrong_in_it_is_found_at_its_line(check):
    (found,) = check(changed(ARGS, "{admin: {tokenVarable: X}}"))
    assert found.startswith("10:")
    assert "args.admin.tokenVarable: unknown key; did you mean tokenVariable?" in found
