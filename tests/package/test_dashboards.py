"""Dashboard and alerts: sound, the same in both forms, and with somewhere to read on."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.package.crd import ROOT

ALERTS = ROOT / "configs/alerts/tandem.rules.yml"
GROUPS = yaml.safe_load(ALERTS.read_text())
DASHBOARD = json.loads((ROOT / "configs/dashboards/tandem.json").read_text())


def test_both_forms_hold_the_same_rules() -> None:
    resource = yaml.safe_load((ROOT / "configs/alerts/prometheusrule.yaml").read_text())
    assert resource["spec"] == GROUPS


def test_every_alert_says_what_to_do() -> None:
    sections = {
        re.sub(r"[^a-z0-9]", "", line.lower())
        for line in (ROOT / "docs/alerts.md").read_text().splitlines()
        if line.startswith("## ")
    }
    alerts = [rule for group in GROUPS["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    for rule in alerts:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description", "runbook"} <= set(rule["annotations"])
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/alerts.md"
        assert anchor == rule["alert"].lower()
        assert anchor in sections


def test_panels_stand_apart_and_use_the_chosen_source() -> None:
    taken: set[tuple[int, int]] = set()
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: Debian's package prometheus has it")
    return found


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_valid(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "check", "rules", str(ALERTS))


def test_alerts_fire_when_they_should_and_not_else(promtool: str, tmp_path: Path) -> None:
    text = (ROOT / "tests/package/alerts_test.yaml").read_text().replace("RULES", str(ALERTS))
    (tmp_path / "tests.yaml").write_text(text)
    run(promtool, "test", "rules", str(tmp_path / "tests.yaml"))
    never = text.replace("alertname: TandemErrors}", "alertname: TandemErrors, exp_alerts: [{}]}")
    (tmp_path / "tests.yaml").write_text(never)
    done = subprocess.run(
        [promtool, "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, check=False
    )
    assert done.returncode != 0  # it can fail
