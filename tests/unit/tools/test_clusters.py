"""Which Ray a command speaks to, and with which token."""

import os
from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.tools import clusters
from serve_app.tools.clusters import DEFAULT, Cluster, Run, ask, find, note, runs


def run(url: str, config: str = "/a.yaml", token: str = "t", folder: str = "/work") -> Run:
    return Run(1, 0.0, url, token, folder, config)


NEWEST, OLDER = run("http://127.0.0.1:8266", "/b.yaml", "new"), run("http://127.0.0.1:8265", token="old")


def kept(tmp_path: Path) -> dict[str, str]:
    """An environment in which Ray's token lies in a file."""
    (tmp_path / "token").write_text("kept\n")
    return {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}


def test_the_last_run_on_this_machine_with_its_token_and_folder(tmp_path: Path) -> None:
    env = kept(tmp_path)
    assert find(None, None, env, [NEWEST, OLDER]) == Cluster(NEWEST.url, "new", "/work")
    # Of several the one that serves this very file.
    assert find(None, Path("/a.yaml"), env, [NEWEST, OLDER]) == Cluster(OLDER.url, "old", "/work")
    assert find(None, Path("/c.yaml"), env, [NEWEST, OLDER]).url == NEWEST.url
    assert find(None, None, env, []) == Cluster(DEFAULT, "kept")


@pytest.mark.parametrize(
    ("address", "env", "url"),
    [
        ("http://a:1", {"RAY_DASHBOARD_ADDRESS": "http://b:1"}, "http://a:1"),
        ("a:1", {}, "http://a:1"),
        (None, {"RAY_DASHBOARD_ADDRESS": "http://b:1", "RAY_ADDRESS": "http://c:1"}, "http://b:1"),
        (None, {"RAY_ADDRESS": "http://c:1"}, "http://c:1"),
        (None, {"RAY_API_SERVER_ADDRESS": "https://d", "RAY_ADDRESS": "http://c:1"}, "https://d"),
        (None, {"RAY_ADDRESS": "local"}, NEWEST.url),  # what a command would start, not what runs
    ],
)
def test_what_is_told_comes_first(address: str | None, env: dict[str, str], url: str) -> None:
    env |= {"RAY_AUTH_TOKEN_PATH": "/nowhere"}
    assert find(address, None, env, [NEWEST]).url == url


def test_rays_own_address_leads_to_its_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "serve_app.internals.ray_dashboard.dashboard_of", lambda a: asked.append(a) or "http://e:8265"
    )
    assert find(None, None, {"RAY_ADDRESS": "10.0.0.1:6379"}, []).url == "http://e:8265"
    assert asked == ["10.0.0.1:6379"]

    def nobody(address: str) -> str:
        raise ConnectionError("nobody is there")

    monkeypatch.setattr("serve_app.internals.ray_dashboard.dashboard_of", nobody)
    with pytest.raises(ConfigError, match=r"RAY_ADDRESS is 10\.0\.0\.1:6379.*nobody is there"):
        find(None, None, {"RAY_ADDRESS": "10.0.0.1:6379"}, [NEWEST])


def test_a_run_is_known_by_its_address_and_the_users_token_goes_before_its_own() -> None:
    found = find("http://localhost:8266/", None, {}, [NEWEST])
    assert (found.token, found.folder) == ("new", "/work")
    assert find(NEWEST.url, None, {"RAY_AUTH_TOKEN": "mine"}, [NEWEST]).token == "mine"
    other = find("http://elsewhere:8265", None, {"RAY_AUTH_TOKEN_PATH": "/nowhere"}, [NEWEST])
    assert (other.token, other.folder) == ("", "")


def test_a_note_is_its_users_alone_and_counts_while_its_process_lives(tmp_path: Path) -> None:
    scratch = tmp_path / "td-1"
    scratch.mkdir()
    note(scratch, "http://127.0.0.1:8265", "secret", Path("configs/quickstart.yaml"))
    assert (scratch / "run.json").stat().st_mode & 0o777 == 0o600
    (found,) = runs(tmp_path)
    assert (found.pid, found.url, found.token) == (os.getpid(), "http://127.0.0.1:8265", "secret")
    assert (found.folder, found.config) == (
        os.getcwd(),
        str(Path("configs/quickstart.yaml").resolve()),
    )
    # A process that is gone, another one with its number, what can't be read, and a link.
    rest = '"began": 1, "url": "", "token": "", "folder": "", "config": ""}'
    for name, text in (
        ("td-2", f'{{"pid": 2147483646, {rest}'),
        ("td-3", f'{{"pid": {os.getpid()}, {rest}'),
        ("td-4", "{"),
        ("td-5", '{"pid": 1}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    (tmp_path / "td-6").mkdir()
    (tmp_path / "td-6" / "run.json").symlink_to(scratch / "run.json")
    assert runs(tmp_path) == [found]


def test_nobody_is_there() -> None:
    with pytest.raises(ConfigError, match="is Ray running"):
        ask(Cluster("http://127.0.0.1:9"))
    assert clusters.DEFAULT == "http://127.0.0.1:8265"
