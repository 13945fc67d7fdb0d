"""`tandem deploy` against a dashboard of the test's own: what is sent, waited for and returned."""

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.errors import ConfigError
from serve_app.tools.cli import main
from serve_app.tools.deploy import command

CONFIG = {
    "applications": [
        {
            "name": "tandem",
            "route_prefix": "/",
            "import_path": "serve_app.app:build_router",
            "deployments": [{"name": "Router", "user_config": {"models": []}}],
        }
    ]
}


class Ray:
    """A dashboard and a Router behind one port: Serve takes a config, and runs it after two looks."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.token = "secret"
        self.refuses = ""  # what Serve says to a config
        self.router = {"refused": "", "models": {}, "loaded": {}, "applications": {}, "settled": True}
        self.looks = 0
        self.never = False
        self.port = 0

    def answer(self, path: str) -> Any:
        if path == "/v2/repository/changes":
            return {"router": "x", **self.router}
        if path == "/v2/repository/index":
            return []
        self.looks += 1
        ready = not self.never and self.looks > 2
        deployment = {
            "status": "HEALTHY" if ready else "UPDATING",
            "message": "",
            "replicas": [{"replica_id": "x", "state": "RUNNING"}],
        }
        app = {
            "status": "RUNNING" if ready else "DEPLOYING",
            "message": "",
            "last_deployed_time_s": 1.0,
            "deployed_app_config": CONFIG["applications"][0],
            "deployments": {"Router": deployment},
        }
        apps = {"tandem": app} if self.sent else {}
        return {"applications": apps, "http_options": {"host": "127.0.0.1", "port": self.port}}


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    made = Ray()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api") and not self.authorized():
                return self.say(401, {})
            return self.say(200, made.answer(self.path))

        do_POST = do_GET  # noqa: N815

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if made.refuses:
                return self.say(400, made.refuses)
            made.sent.append(json.loads(body))
            return self.say(200, {})

        def authorized(self) -> bool:
            return self.headers["authorization"] == f"Bearer {made.token}"

        def say(self, status: int, what: Any) -> None:
            content = json.dumps(what).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", f"http://127.0.0.1:{made.port}")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setattr(command, "_LOOK_S", 0.01)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def test_it_is_sent_and_waited_for(ray: Ray, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", str(file)]) == 0
    assert [one["applications"][0]["name"] for one in ray.sent] == ["tandem"]
    assert ray.looks > 2
    assert capsys.readouterr().out == "  tandem  router  new\nall of it is served\n"


def test_a_refusal_is_the_exit_status(ray: Ray, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ray.router["refused"] = "user_config.limitz: unknown key"
    assert main(["deploy", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "served": False,
        "models": [
            {
                "model": "tandem",
                "where": "router",
                "result": "refused",
                "reason": "user_config.limitz: unknown key",
            }
        ],
    }


def test_what_doesnt_come_in_time(ray: Ray, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ray.never = True
    assert main(["deploy", str(file), "--timeout", "0.1"]) == 1
    assert "still deploying\n      it is DEPLOYING" in capsys.readouterr().out


def test_what_is_under_way_is_said_now_and_then(
    ray: Ray, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_SAY_S", 0)
    assert main(["deploy", str(file)]) == 0
    assert "tandem, after 0 s: it is DEPLOYING" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["token", "refused", "config", "manifest", "absent"])
def test_what_cant_be_tried_is_2(
    ray: Ray, file: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    words = {
        "token": "refuses the token",
        "refused": "Serve refuses",
        "config": "unknown key",
        "manifest": "a RayService is Kubernetes'",
        "absent": "no such file",
    }
    if wrong == "token":
        ray.token = "another"
    elif wrong == "refused":
        ray.refuses = "two routes"
    elif wrong == "config":
        file.write_text(file.read_text().replace("models:", "modles:"))
    elif wrong == "manifest":
        file.write_text("kind: RayService\n")
    else:
        file.unlink()
    assert main(["deploy", str(file)]) == 2
    assert words[wrong] in capsys.readouterr().err
    assert ray.sent == []


def test_relative_paths_are_the_services(ray: Ray, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `tandem run` resolves them where it was started."""
    seen = []
    monkeypatch.setattr(
        command, "load_checked", lambda path, _: seen.append((path, Path.cwd())) or dict(CONFIG)
    )
    monkeypatch.setattr(
        command.clusters,
        "find",
        lambda *_: command.Cluster(f"http://127.0.0.1:{ray.port}", "secret", str(file.parent)),
    )
    before = Path.cwd()
    assert command.run(file, None, "", 60, False) == 0
    assert seen == [(file, file.parent)]
    assert Path.cwd() == before


@pytest.mark.parametrize("version", ["1", "9"])
def test_a_route_to_a_version_that_isnt_there_is_handed_to_nobody(
    ray: Ray, file: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """A model whose files are missing is: what serves of it goes on."""
    (file.parent / "m" / "1").mkdir(parents=True)
    config = copy.deepcopy(CONFIG)
    config["applications"][0]["deployments"][0]["user_config"] = {
        "models": [
            {"name": "m", "modelFormat": "onnx", "storageUri": "m"},
            {"name": "n", "modelFormat": "onnx", "storageUri": "nowhere"},
        ],
        "routing": {"m": {"defaultVersion": version}},
    }
    file.write_text(yaml.safe_dump(config))
    here = command.Cluster(f"http://127.0.0.1:{ray.port}", "secret", str(file.parent))
    monkeypatch.setattr(command.clusters, "find", lambda *_: here)
    if version == "9":
        with pytest.raises(ConfigError, match="defaultVersion: model 'm' has no version 9"):
            command.run(file, None, "", 60, False)
    else:
        command.run(file, None, "", 0.1, False)
    assert len(ray.sent) == (version == "1")


def test_a_dashboard_that_goes_away_is_an_error(
    ray: Ray, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: object) -> Any:
        raise ConnectionError("reset")

    asked = command.clusters.ask

    def once(cluster: Any) -> Any:
        found = asked(cluster)
        monkeypatch.setattr(command.Dashboard, "serve", gone)
        return found

    monkeypatch.setattr(command.clusters, "ask", once)
    with pytest.raises(ConfigError, match=r"no longer answers.*reset"):
        command.run(file, None, "", 0.05, False)
