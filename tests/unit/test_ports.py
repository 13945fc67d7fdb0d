"""Ports: each caller gets its own, and none that the kernel may lend to somebody else."""

import socket
import subprocess
import sys
from contextlib import ExitStack

from serve_app.ports import Block, free_port, own_block


def test_free_ports_differ_and_can_be_bound():
    ports = [free_port() for _ in range(40)]
    assert len(set(ports)) == 40
    for port in ports:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_free_ports_are_none_of_the_outgoing_connections():
    """Linux lends from 32768 on, Ray's workers take up to 19999, replicas come between."""
    assert all(30000 <= free_port() < 32768 for _ in range(50))


def test_a_block_stays_with_its_process():
    mine = own_block()
    code = "from serve_app.ports import own_block; print(own_block().first)"
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not ports(mine) & ports(Block(int(theirs.stdout)))


def test_ports_that_two_processes_are_given_are_never_the_same():
    """HAProxy would share one with the other's: both listen on it, and each gets some clients."""
    code = "from serve_app.ports import free_port; print(*(free_port() for _ in range(150)))"
    mine = {free_port() for _ in range(50)}
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [int(port) for port in theirs.stdout.split()]
    assert len(found) == 150
    assert not mine & set(found)


def test_a_child_is_given_none_of_its_parent_s():
    code = """
import os
from serve_app.ports import free_port
mine = {free_port() for _ in range(10)}
if not os.fork():
    os._exit(bool(mine & {free_port() for _ in range(100)}))
theirs = os.waitstatus_to_exitcode(os.wait()[1])
print(theirs, len(mine & {free_port() for _ in range(100)}))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["0", "10"]


def test_more_are_found_where_all_of_a_process_are_taken():
    with ExitStack() as taken:
        ports = set()
        for _ in range(150):
            server = taken.enter_context(socket.socket())
            ports.add(port := free_port())
            server.bind(("127.0.0.1", port))
        assert len(ports) == 150


def ports(block):
    parts = [block.first, *block.http, *block.grpc, *block.single]
    assert len(parts) == len(set(parts)) == 200
    return set(parts)
