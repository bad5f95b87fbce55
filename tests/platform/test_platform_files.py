"""Files are written whole or not at all, even when the writer is killed."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.platform import open_append_log, publish_folder, remove_tree, write_atomically, write_secret

WRITER = """
import sys
from pathlib import Path
from shared.platform import write_atomically
target = Path(sys.argv[1])
number = 0
while True:
    write_atomically(target, bytes([number % 251]) * 3_000_000)
    number += 1
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_one_whole_version(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for delay_seconds in (0.0, 0.003, 0.007):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(3):
            writer.stdout.readline()
        time.sleep(delay_seconds)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        content = target.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1


def test_a_failed_write_keeps_the_old_bytes_and_no_debris(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_mode_asked_for_is_the_mode_of_the_result(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"x", mode=0o640)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_secret_is_its_owners_alone_under_any_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_secret(tmp_path / "keys" / "one.key", b"secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "keys" / "one.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert (tmp_path / "keys" / "one.key").read_bytes() == b"secret"


def test_a_folder_is_published_with_all_it_holds(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    (staging / "inner").mkdir(parents=True)
    (staging / "inner" / "file").write_bytes(b"x")
    publish_folder(staging, tmp_path / "models" / "final")
    assert (tmp_path / "models" / "final" / "inner" / "file").read_bytes() == b"x"
    assert not staging.exists()


@pytest.mark.parametrize("existing", ["file", "empty folder", "full folder"])
def test_publishing_never_replaces_what_is_there(tmp_path: Path, existing: str) -> None:
    staging, final = tmp_path / "staging", tmp_path / "final"
    staging.mkdir()
    (staging / "new").write_bytes(b"new")
    if existing == "file":
        final.write_bytes(b"old")
    else:
        final.mkdir()
    if existing == "full folder":
        (final / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        publish_folder(staging, final)
    assert (staging / "new").read_bytes() == b"new"


def test_removing_spares_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "missing")
    assert (tmp_path / "kept").is_dir()
    assert not (tmp_path / "link").is_symlink()


def test_a_full_log_moves_aside_and_only_so_many_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "host.log"
    for number in range(6):
        with open_append_log(log, max_bytes=4, keep=2) as stream:
            stream.write(f"run{number}".encode())
    assert sorted(entry.name for entry in log.parent.iterdir()) == ["host.log", "host.log.1", "host.log.2"]
    assert [log.with_name(name).read_text() for name in ("host.log", "host.log.1", "host.log.2")] == [
        "run5",
        "run4",
        "run3",
    ]
