"""Hosts and ports that a command is told to listen on."""

import errno
import ipaddress
import socket

from serve_app.errors import ConfigError


def is_loopback(host: str) -> bool:
    """Whether nobody else can reach it: 127.0.0.0/8, ::1, or a name that stands for these alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(one).is_loopback for one in found)


def numeric(host: str) -> str:
    """A name of loopback as the address that it stands for, IPv4 before IPv6; others as they are."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if is_loopback(host):
            found = sorted(socket.getaddrinfo(host, None), key=lambda one: one[0] != socket.AF_INET)
            return str(found[0][4][0])
    return host


def authority(host: str, port: int) -> str:
    """`host:port` of a URL, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def all_free(host: str, **options: int) -> None:
    """ConfigError names the port that can't be listened on, and the option (its key) that changes it."""
    taken: dict[int, str] = {}
    for key, port in options.items():
        option = f"--{key.replace('_', '-')}"
        if other := taken.get(port):
            raise ConfigError(f"port {port} is given twice, by {other} and {option}: one needs another")
        taken[port] = option
        if not 0 < port < 65536:
            raise ConfigError(f"{option}: {port} is no port: 1 to 65535")
        try:
            reason = _refused(host, port)
        except OSError as error:
            raise ConfigError(
                f"--host: {host} is no address of this machine: {error.strerror}"
            ) from None
        if reason:
            make = f" ({key.upper()}=… for make)" if key in ("http_port", "grpc_port") else ""
            raise ConfigError(
                f"{authority(host, port)} can't be used: {reason}; take another by {option}{make}, "
                f"or see who has it: ss -ltnp 'sport = :{port}'"
            )


def _refused(host: str, port: int) -> str:
    """Why the port can't be had; OSError where it is the host that can't."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise
        return error.strerror or str(error)
    return ""
