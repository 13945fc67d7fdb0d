"""The Makefile says what it can do, and does nothing that nobody asked for."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def make(*arguments: str) -> str:
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_make_alone_shows_every_target_and_starts_nothing() -> None:
    shown = make()
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
    assert {"run", "load", "clean"} <= targets
    assert targets == set(re.findall(r"^  ([a-z-]+) +\S", shown, re.MULTILINE))
    assert shown == make("help")
    # What make would do, it says: nothing but to print.
    assert not re.search(r"pip|venv/bin|tandem (?!local)", make("--dry-run"))


def test_load_hands_on_whose_model_it_is() -> None:
    assert "MODEL=mine " in make("--dry-run", "load", "MODEL=mine", "--old-file=.venv/.test")
