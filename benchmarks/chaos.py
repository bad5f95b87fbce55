"""Kill parts of a running instance at random moments, start again, and count what was lost or doubled.

    .venv/bin/python -m benchmarks.chaos --rounds 2 --data-dir /somewhere/empty

Linux only: it finds the processes of its instance under /proc, and touches no others.
"""

import argparse
import random
import shutil
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.acceptance import acceptance_chaos_support as chaos
from tests.acceptance.acceptance_support import RunningInstance, consecutive_ports

STORAGE_DIES = ("everything", "supervisor", "azurite")
OF_ALL_WORK = ("everything", "supervisor", "host", "event worker", "http worker", "azurite")
Play = Callable[[RunningInstance, str, random.Random], chaos.Round]


def first_start(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill a first start one to three times, and let the next finish it."""
    fresh = RunningInstance(
        data_dir=instance.data_dir.parent / f"first-{dice.randrange(10**6)}",
        port=instance.port,
        storage_port=instance.storage_port,
    )
    try:
        return _killed_at_first(fresh, victim, dice)
    finally:
        fresh.kill_everything()
        shutil.rmtree(fresh.data_dir, ignore_errors=True)


def _killed_at_first(fresh: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    deaths = [dice.uniform(0.3, 13) for _ in range(dice.randint(1, 3))]
    done = chaos.Round(moment="first start", victim=victim, after_seconds=deaths[-1])
    for after in deaths:
        chaos.start_and_kill(fresh, after)
    done.answers_seconds = fresh.up()
    chaos.eventually_true(lambda: not chaos.unended(fresh), 120, "every row ends")
    done.ended_seconds = None
    versions = chaos.query(fresh, "SELECT version, state FROM model_versions")
    if [row["state"] for row in versions] != ["active"]:
        done.doubled.append(f"versions: {[tuple(row) for row in versions]}")
    extracts = chaos.query(fresh, "SELECT state FROM extracts")
    if len([row for row in extracts if row["state"] == "succeeded"]) != 1:
        done.doubled.append(f"{len(extracts)} extracts")
    done.doubled += chaos.doubled(fresh)
    chaos.eventually_astray(fresh, done)
    fresh.kill_everything()
    done.taken_up_seconds = fresh.up()  # the second start
    return done


def training(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill during a job."""
    when = None
    if victim == "training child":
        when = lambda: bool(chaos.find(instance, victim))  # noqa: E731
    after = dice.uniform(0, 14)
    return chaos.death(instance, "training job", victim, chaos.begin_training, after_seconds=after, when=when)


def cycle(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill during a quality cycle."""
    return chaos.death(instance, "quality cycle", victim, chaos.begin_cycle, after_seconds=dice.uniform(0, 2))


def extract(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill during an extract."""
    return chaos.death(instance, "extract", victim, chaos.begin_extract, after_seconds=dice.uniform(0, 1.5))


def _drops(instance: RunningInstance) -> chaos.Drops:
    return chaos.Drops.of_active(instance, instance.data_dir.parent / f"packages-{time.time_ns()}")


def uploading(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill while a client uploads, which goes on as soon as storage answers, and then uploads all once more.

    Once more, because Azurite, when it is killed, forgets blobs that it took in its last seconds.
    """
    version, folder = _drops(instance).next()
    client = threading.Thread(target=chaos.upload, args=(instance, version, folder))

    def begin(_: RunningInstance) -> list[chaos.Work]:
        client.start()
        return []

    def afterwards() -> list[chaos.Work]:
        client.join()
        chaos.upload(instance, version, folder)
        return _registration_of(instance, version)

    after = dice.uniform(0, 0.6)
    return chaos.death(instance, "drop: uploading", victim, begin, after_seconds=after, afterwards=afterwards)


def waiting(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill while a package waits for a file that comes later."""
    version, folder = _drops(instance).next()
    late = "encoder.joblib"

    def begin(_: RunningInstance) -> list[chaos.Work]:
        chaos.upload(instance, version, folder, leave_out=late)
        return []

    def afterwards() -> list[chaos.Work]:
        chaos.upload(instance, version, folder)  # all of it: a killed Azurite has forgotten its last seconds
        return _registration_of(instance, version)

    after = dice.uniform(0, 6)
    return chaos.death(instance, "drop: waiting", victim, begin, after_seconds=after, afterwards=afterwards)


def verifying(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill while a complete package is fetched, verified and installed."""
    version, folder = _drops(instance).next()

    def begin(_: RunningInstance) -> list[chaos.Work]:
        chaos.upload(instance, version, folder)
        return _registration_of(instance, version)

    def afterwards() -> list[chaos.Work]:
        if victim in STORAGE_DIES:
            chaos.upload(instance, version, folder)
        return []

    after = dice.uniform(0, 1.5)
    return chaos.death(instance, "drop: verifying", victim, begin, after_seconds=after, afterwards=afterwards)


def _registration_of(instance: RunningInstance, version: str) -> list[chaos.Work]:
    def found() -> list[str]:
        return [row["id"] for row in chaos.query(instance, "SELECT id FROM registrations WHERE version = ?", version)]

    chaos.eventually_true(lambda: bool(found()), 60, f"{version} is noticed")
    return [("registrations", name) for name in found()]


def activation(instance: RunningInstance, victim: str, dice: random.Random) -> chaos.Round:
    """Kill during an activation or a rollback; what was answered with 200 must have stayed."""
    after = dice.uniform(0, 0.3)
    done = chaos.Round(moment="activation, rollback", victim=victim, after_seconds=after)
    old = instance.get("models/active")["version"]
    others = [row["version"] for row in instance.get("models?limit=500")["items"] if row["state"] == "pending"]
    roll_back = not others or dice.random() < 0.5
    answers: list[int] = []

    def ask() -> None:
        path = "models/rollback" if roll_back else f"models/{others[0]}/activate"
        headers = {"x-api-key": instance.key}
        try:
            answer = httpx.post(f"{instance.address}/api/{path}", json={"reason": "chaos"}, headers=headers, timeout=20)
            answers.append(answer.status_code)
        except httpx.HTTPError:
            answers.append(0)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(after)
    died = time.monotonic()
    chaos.kill(instance, victim)
    asking.join()
    chaos.bring_back(instance, victim)
    done.answers_seconds = time.monotonic() - died
    new = instance.get("models/active")["version"]
    if (answers == [200]) and new == old:
        done.lost.append(f"an activation that was answered: {old} is still active")
    if not roll_back and new not in (old, others[0]):
        done.lost.append(f"{new} is active, neither {old} nor {others[0]}")
    code = instance.get("items?limit=1")["items"][0]["item_code"]
    chaos.eventually_true(
        lambda: instance.predict(code).json().get("model_version") == new, 20, "the active version serves"
    )
    done.doubled += chaos.doubled(instance)
    return done


MOMENTS: dict[str, tuple[Play, tuple[str, ...]]] = {
    "first-start": (first_start, ("everything",)),
    "training": (training, (*OF_ALL_WORK, "training child")),
    "uploading": (uploading, ("everything", "host", "event worker", "azurite")),
    "waiting": (waiting, ("everything", "event worker", "azurite")),
    "verifying": (verifying, ("everything", "supervisor", "host", "event worker", "azurite")),
    "activation": (activation, ("everything", "http worker", "host")),
    "cycle": (cycle, OF_ALL_WORK),
    "extract": (extract, OF_ALL_WORK),
}


def _plays(names: list[str], rounds: int, victims: list[str]) -> Iterator[tuple[Play, str]]:
    for _ in range(rounds):
        for name in names:
            play, its_victims = MOMENTS[name]
            for victim in its_victims:
                if not victims or victim in victims:
                    yield play, victim


def _table(results: list[chaos.Round]) -> None:
    grouped: dict[tuple[str, str], list[chaos.Round]] = defaultdict(list)
    for result in results:
        grouped[result.moment, result.victim].append(result)
    print("\n| moment | killed | rounds | lost | doubled | API answers, s | work taken up, s | all ended, s |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for (moment, victim), group in sorted(grouped.items()):
        figures = [
            _spread([getattr(result, name) for result in group])
            for name in ("answers_seconds", "taken_up_seconds", "ended_seconds")
        ]
        lost, twice = sum(bool(result.lost) for result in group), sum(bool(result.doubled) for result in group)
        print(f"| {moment} | {victim} | {len(group)} | {lost} | {twice} | {' | '.join(figures)} |")
    print("\nFor a first start, the column `work taken up` is the time of the second start.")


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{statistics.median(known):.1f} (max {max(known):.1f})"


def main() -> int:
    """Play the rounds; 0 when nothing was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--moments", nargs="*", choices=sorted(MOMENTS), default=list(MOMENTS))
    parser.add_argument("--victims", nargs="*", choices=chaos.VICTIMS, default=[])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--data-dir", type=Path, required=True, help="an empty or missing folder")
    parser.add_argument("--port", type=int)
    parser.add_argument("--storage-port", type=int)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    dice = random.Random(seed)
    ports = (options.port, options.storage_port) if options.port and options.storage_port else consecutive_ports()
    options.data_dir.mkdir(parents=True, exist_ok=True)
    instance = RunningInstance(data_dir=options.data_dir / "data", port=ports[0], storage_port=ports[1])
    results: list[chaos.Round] = []
    print(f"seed {seed}", flush=True)
    try:
        for play, victim in _plays(options.moments, options.rounds, options.victims):
            if play is not first_start and not chaos.find(instance, "host"):
                instance.up()
            elif play is first_start and chaos.find(instance, "host"):
                instance.kill_everything()
            result = play(instance, victim, dice)
            results.append(result)
            print(result, flush=True)
    finally:
        instance.kill_everything()
        _table(results)
    return int(any(result.lost or result.doubled for result in results))


if __name__ == "__main__":
    sys.exit(main())
