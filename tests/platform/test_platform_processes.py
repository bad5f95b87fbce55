"""Children end with their parent, trees end whole, and a process is told from its number's next owner."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.cores import leaving_one_core
from shared.platform import (
    end_process_tree,
    note_process,
    noted_process,
    peak_memory_bytes,
    process_identity,
    start_child,
)

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]

PARENT = """
import subprocess, sys, threading, time
from shared.platform import start_child
children = []
def start():
    children.append(start_child([sys.executable, "-c", "import time; time.sleep(60)"]))
if sys.argv[1] == "thread":
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
else:
    start()
print(children[0].pid, flush=True)
time.sleep(60)
"""

WATCHING_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "from shared.platform import die_with_parent; die_with_parent(); "
                          "print('watching', flush=True); import time; time.sleep(60)"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _first_number(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    with process.stdout as lines:
        return int(lines.readline())


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "parent", [[PARENT, "main"], [PARENT, "thread"], [WATCHING_PARENT]], ids=["started", "by a thread", "watching"]
)
def test_a_child_ends_within_five_seconds_of_its_killed_parent(parent: list[str]) -> None:
    process = subprocess.Popen([sys.executable, "-c", *parent], stdout=subprocess.PIPE)
    child = _first_number(process)
    assert process_identity(child) is not None
    _kill(process)
    assert _wait_until(lambda: process_identity(child) is None, 5)


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    children: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: children.append(start_child(SLEEPER)))
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert children[0].poll() is None
    end_process_tree(children[0], grace_seconds=2)
    assert children[0].poll() is not None


def test_a_child_has_its_own_group_arguments_environment_and_exit_code(tmp_path: Path) -> None:
    code = (
        "import json, os, sys\n"
        "print(json.dumps([os.getpgid(0) == os.getpid(), sys.argv[1:], os.environ['X'], os.getcwd()]))\n"
        "sys.exit(7)\n"
    )
    child = start_child([sys.executable, "-c", code, "a b", ""], env={"X": "1"}, cwd=tmp_path, stdout=subprocess.PIPE)
    output, _ = child.communicate(timeout=20)
    assert json.loads(output) == [True, ["a b", ""], "1", str(tmp_path)]
    assert child.returncode == 7


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        start_child(["no-such-program"])


def test_a_tree_ends_with_its_grandchildren_even_in_other_groups(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "print(one.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = start_child([sys.executable, "-c", code], stdout=subprocess.PIPE)
    grandchild = _first_number(child)
    end_process_tree(child, grace_seconds=2)
    assert _wait_until(lambda: process_identity(grandchild) is None, 2)


def test_a_process_that_ignores_the_polite_signal_is_killed_after_its_grace() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = start_child([sys.executable, "-c", code], stdout=subprocess.PIPE)
    _first_number(child)
    started = time.monotonic()
    end_process_tree(child, grace_seconds=0.5)
    assert child.returncode == -signal.SIGKILL
    assert 0.5 <= time.monotonic() - started < 3


def test_a_process_that_may_end_by_itself_does_so_within_its_grace() -> None:
    code = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
        "print(1, flush=True)\ntime.sleep(60)"
    )
    child = start_child([sys.executable, "-c", code], stdout=subprocess.PIPE)
    _first_number(child)
    end_process_tree(child, grace_seconds=5)
    assert child.returncode == 3


def test_ending_what_has_ended_is_fine_and_spares_everybody_else() -> None:
    child = start_child([sys.executable, "-c", "pass"])
    child.wait()
    bystander = subprocess.Popen(SLEEPER)
    end_process_tree(child, grace_seconds=1)
    end_process_tree(child.pid, grace_seconds=1)
    assert bystander.poll() is None
    _kill(bystander)


def test_identity_is_stable_and_ends_with_the_process() -> None:
    child = subprocess.Popen(SLEEPER)
    identity = process_identity(child.pid)
    assert identity is not None
    assert process_identity(child.pid) == identity
    assert process_identity(os.getpid()) != identity
    child.kill()
    assert _wait_until(lambda: process_identity(child.pid) is None, 2)  # a zombie is not running
    child.wait()
    assert process_identity(child.pid) is None


def test_a_note_is_believed_only_of_the_very_process_it_was_written_for(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    note_process(path, os.getpid(), port=7071)
    note = noted_process(path)
    assert note is not None
    assert (note["pid"], note["port"]) == (os.getpid(), 7071)
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "identity": document["identity"] + "0"}))
    assert noted_process(path) is None
    path.write_text("{half")
    assert noted_process(path) is None
    assert noted_process(tmp_path / "missing.json") is None


BACKGROUND = """
import json, os, subprocess, sys
from shared.cores import work_in_background
before = sorted(os.sched_getaffinity(0)), os.nice(0)
work_in_background()
tell = "import json, os; print(json.dumps([sorted(os.sched_getaffinity(0)), os.nice(0)]))"
child = subprocess.run([sys.executable, "-c", tell], capture_output=True, text=True, check=True)
print(json.dumps([before, json.loads(child.stdout)]))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux tells and sets a process's cores")
def test_work_in_the_background_leaves_one_core_and_goes_last_with_all_it_starts() -> None:
    done = subprocess.run([sys.executable, "-c", BACKGROUND], capture_output=True, text=True, check=True)
    (cores, niceness), (child_cores, child_niceness) = json.loads(done.stdout)
    assert child_niceness > niceness
    assert child_cores == (cores[1:] if len(cores) > 1 else cores)


def test_the_most_memory_that_a_process_held_is_its_own_and_stays_when_it_is_given_back() -> None:
    held = "import sys; from shared.platform import peak_memory_bytes as peak; before = peak(); x = b'x' * 80_000_000"
    words = [sys.executable, "-c", f"{held}; del x; print(before, peak())"]
    ballast = b"x" * 200_000_000  # the starter's memory is not the child's
    before, after = (int(word) for word in subprocess.check_output(words, text=True, timeout=30).split())
    assert 75_000_000 < after - before < 120_000_000
    assert before < len(ballast) < peak_memory_bytes()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux tells and sets a process's cores")
def test_of_two_that_load_at_once_one_leaves_the_first_core_and_the_other_the_last() -> None:
    cores = sorted(os.sched_getaffinity(0))
    with leaving_one_core():
        assert sorted(os.sched_getaffinity(0)) == (cores[1:] if len(cores) > 1 else cores)
    with leaving_one_core(last=True):
        assert sorted(os.sched_getaffinity(0)) == (cores[:-1] if len(cores) > 1 else cores)
    assert sorted(os.sched_getaffinity(0)) == cores
