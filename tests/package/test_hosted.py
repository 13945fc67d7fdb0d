"""Peers of the comparisons end with the process that started them."""

import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
_PEER = """
import time
from loadtests.hosted import command_line
command_line("peer")
print("serves", flush=True)
time.sleep(600)
"""
_STARTER = """
import subprocess, sys, time
peer = [sys.executable, "-c", sys.argv[1], "--config", "x", "--http-port", "1", "--grpc-port", "2"]
print(subprocess.Popen(peer, start_new_session=True).pid, flush=True)
time.sleep(600)
"""


def test_a_peer_whose_starter_is_killed_ends_too() -> None:
    command = [sys.executable, "-c", _STARTER, _PEER]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        peer = psutil.Process(int(starter.stdout.readline()))
        try:
            assert starter.stdout.readline() == "serves\n"
            starter.kill()
            assert not psutil.wait_procs([peer], timeout=60)[1]
        finally:
            if peer.is_running():
                peer.kill()
