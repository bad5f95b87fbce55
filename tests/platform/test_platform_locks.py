"""Locks hold between processes and callers, and end with their holder; ports and signals do as they say."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.platform import exclusive_lock, free_ports, on_stop_signals, port_is_taken

HOLDER = """
import sys, time
from shared.platform import exclusive_lock
with exclusive_lock(sys.argv[1], timeout_seconds=5):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_excludes_another_process_until_it_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "instance.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout as lines:
        assert lines.readline() == b"held\n"
    with pytest.raises(TimeoutError), exclusive_lock(lock, timeout_seconds=0.2):
        pass
    holder.kill()
    holder.wait()
    with exclusive_lock(lock, timeout_seconds=2):
        assert lock.exists()


def test_a_lock_excludes_another_caller_of_this_process_and_is_free_again_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        exclusive_lock(lock, timeout_seconds=0),
        pytest.raises(TimeoutError),
        exclusive_lock(lock, timeout_seconds=0.1),
    ):
        pass
    with exclusive_lock(lock, timeout_seconds=0):
        pass


def test_a_lock_is_not_inherited_by_children(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with exclusive_lock(lock, timeout_seconds=0):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    with exclusive_lock(lock, timeout_seconds=0):
        pass
    child.kill()
    child.wait()


def test_free_ports_are_distinct_and_can_be_listened_on() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert not any(port_is_taken(port) for port in ports)
    with socket.create_server(("127.0.0.1", ports[0])):
        assert port_is_taken(ports[0])


def test_a_stop_signal_calls_back() -> None:
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in numbers}
    calls: list[int] = []
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # below `nohup` it is ignored, and would rightly stay so
        on_stop_signals(lambda: calls.append(1))
        for number in numbers:
            os.kill(os.getpid(), number)
        deadline = time.monotonic() + 10
        while len(calls) < len(numbers) and time.monotonic() < deadline:
            time.sleep(0.01)  # another thread of this process may have been given the signal
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert len(calls) == 3
