"""Which addresses stay on this machine, and what is said of a port that can't be used."""

import socket

import pytest

from serve_app.addresses import all_free, authority, is_loopback, numeric
from serve_app.errors import ConfigError
from serve_app.ports import free_port


# RFC 1122 3.2.1.3 (g): all of 127.0.0.0/8; RFC 4291 2.5.3: ::1.
@pytest.mark.parametrize(
    ("host", "it_is"),
    [
        ("127.0.0.1", True), ("127.0.0.2", True), ("127.255.255.254", True), ("::1", True),
        ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("128.0.0.1", False), ("fe80::1", False), ("", False), ("no-such-host.invalid", False),
    ],
)  # fmt: skip
def test_loopback(host: str, it_is: bool) -> None:
    assert is_loopback(host) is it_is


def test_names_of_loopback_as_addresses() -> None:
    assert numeric("localhost") in ("127.0.0.1", "::1")
    assert [numeric(host) for host in ("127.0.0.2", "::1", "0.0.0.0", "no-such-host.invalid")] == [
        "127.0.0.2", "::1", "0.0.0.0", "no-such-host.invalid",
    ]  # fmt: skip
    assert (authority("::1", 8), authority("127.0.0.2", 8)) == ("[::1]:8", "127.0.0.2:8")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_a_port_in_use_is_named_with_its_option(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} here")
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            all_free(host, http_port=free_port(), grpc_port=port)
    text = str(caught.value)
    assert text.startswith(f"{authority(host, port)} can't be used: Address already in use")
    assert "--grpc-port (GRPC_PORT=… for make)" in text


def test_ports_that_no_program_can_have() -> None:
    port = free_port()
    with pytest.raises(ConfigError, match=f"{port} is given twice, by --http-port and --grpc-port"):
        all_free("127.0.0.1", http_port=port, grpc_port=port)
    for number in (70000, 0, -1):
        with pytest.raises(ConfigError, match=f"--http-port: {number} is no port"):
            all_free("127.0.0.1", http_port=number)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])  # RFC 5737: nobody has it
def test_a_host_that_this_machine_hasnt_is_no_matter_of_the_port(host: str) -> None:
    with pytest.raises(ConfigError, match=f"--host: {host} is no address of this machine") as caught:
        all_free(host, http_port=8080)
    assert "--http-port" not in str(caught.value)
