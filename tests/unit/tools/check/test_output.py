"""What is printed, at which line, and with which exit code."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.tools.check.command import run
from serve_app.tools.check.crds import Crds
from serve_app.tools.check.verdict import check
from serve_app.tools.cli import main
from tests.package.crd import ROOT, crd_folder
from tests.unit.tools.check.manifests import ISVC, MODE, MODEL, found, said


def test_formats_and_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspek: {}\n")
    assert run([bad], None, "text", False) == 1
    assert f"{bad}:4: Service/a: spek: unknown field" in capsys.readouterr().out
    assert run([bad], None, "json", False) == 1
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["line"], one["severity"], one["place"]) == (4, "error", "spek")
    assert run([bad], None, "github", False) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"::error file={bad},line=4,title=Service/a%3A spek::unknown field")
    assert printed.count("\n") == 1
    old = tmp_path / "old.yaml"
    old.write_text(ISVC.format(notes=f"{MODE}: RawDeployment", predictor=MODEL))
    assert run([old], None, "text", False) == 0
    assert run([old], None, "text", True) == 1
    assert main(["check", str(tmp_path / "none.yaml")]) == 2
    assert main(["check", "--crds", str(tmp_path / "none"), str(bad)]) == 2


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspek: {}\n")
    )
    assert [one.place for one in check(Path("-"), None)] == ["spek"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_text_that_nobody_can_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"apiVersion": "v1", "kind": "Service", "\\ud83d→": 1}', encoding="utf-8")
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    assert run([file], None, "text", False) == 1
    out.flush()
    assert b"unknown field" in out.buffer.getvalue()  # type: ignore[attr-defined]


def test_the_command_of_a_user() -> None:
    command = [
        sys.executable,
        "-m",
        "serve_app",
        "check",
        "rayservice.yaml",
        "configs/k8s/overlays/dev",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_in_quotes_has_the_line_of_its_key(tmp_path: Path) -> None:
    text = "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: a}\nspec:\n"
    text += '  serveConfigV2: "aplications: []"\n'
    text_found = said(found(tmp_path, text))
    assert "5: spec.serveConfigV2.aplications: unknown key; did you mean applications?" in text_found


def test_without_the_extra_a_note_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    known = importlib.util.find_spec
    hidden = ("cel_expr_python", "re2", "kubernetes_validate")
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in hidden else known(n))
    service = (ROOT / "rayservice.yaml").read_text()
    another = service.replace("name: tandem\nspec", "name: other\nspec")
    (tmp_path / "both.yaml").write_text(
        f"{service}---\n{another}---\napiVersion: v1\nkind: Service\nmetadata: {{name: a}}\n"
    )
    notes = list(check(tmp_path / "both.yaml", Crds(crd_folder())))
    assert {one.severity for one in notes} == {"note"}
    assert [one.what for one in notes] == [
        "not looked at: Kubernetes' own kinds, patterns and rules in CEL of CRDs"
    ]
    assert all("tandem-serve[check]" in one.fix for one in notes)


def test_without_the_extra_the_manifests_have_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the image: with KubeRay's CRDs, over all that the base has, and several paths at once."""
    import importlib.util

    known = importlib.util.find_spec
    hidden = ("cel_expr_python", "re2", "kubernetes_validate")
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in hidden else known(n))
    paths = [ROOT / name for name in ("rayservice.yaml", "configs/k8s/base", "configs/k8s/overlays/dev")]
    assert run(paths, crd_folder(), "text", False) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if ": note: " in line]
    (line,) = notes
    assert "not looked at: Kubernetes' own kinds, patterns and rules in CEL of CRDs" in line


def test_the_groups_that_are_known_by_heart_are_all_of_kubernetes() -> None:
    from serve_app.tools.check import kubernetes_schemas

    dotted = {group for group, _, _ in kubernetes_schemas._kinds() if "." in group}
    assert {f"{name}.k8s.io" for name in kubernetes_schemas._GROUPS} == dotted


def test_standard_input_that_is_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "serve_app", "check", "-"]
    done = subprocess.run(command, input=b"a: \xff\xfe", capture_output=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"-: not valid UTF-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xffapiVersion: v1"), "utf-8"))
    assert main(["check", "-"]) == 2
    assert capsys.readouterr().err.startswith("-: not valid UTF-8")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "kind: List\napiVersion: v1\n"])
def test_nothing_at_all_is_said(tmp_path: Path, text: str) -> None:
    """As of a pipe whose first half failed: `kubectl apply` refuses it too."""
    (tmp_path / "a.yaml").write_text(text)
    assert [(one.what, one.severity) for one in check(tmp_path / "a.yaml", None)] == [
        ("nothing to check", "error")
    ]


def test_what_is_named_twice_is_checked_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspek: {}\n")
    (tmp_path / "link.yaml").symlink_to(file)
    around = tmp_path / "x" / ".." / "bad.yaml"
    (tmp_path / "x").mkdir()
    for paths in ([file, file], [tmp_path, file], [around, file]):
        assert run(paths, None, "json", False) == 1
        found = json.loads(capsys.readouterr().out)
        assert len({one["file"] for one in found}) <= 2
        assert [one["line"] for one in found if one["what"].startswith("unknown field")] == [4]


def test_a_text_without_an_end_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: {'x' * 5000}}}\n"
    )
    (one,) = check(tmp_path / "a.yaml", None)
    assert len(one.what) < 200
    assert "5,002 characters" in one.what
