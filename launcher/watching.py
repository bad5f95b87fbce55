"""Follow the preparation of an instance and show how far it is."""

import json
import subprocess
from os import SEEK_END
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from launcher.problems import SetupProblem

LINE_EVERY_PERCENT = 10.0
LOOK_BACK_BYTES = 8192


class _Bar:
    """A progress bar that appears with the first report; plain lines where the console is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("· first model"), BarColumn(), TextColumn("{task.percentage:>3.0f} % {task.description}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._progress.add_task("", total=100.0)
        self._shown = -LINE_EVERY_PERCENT

    def show(self, percent: float, step: str) -> None:
        if self._console.is_terminal:
            self._progress.start()
            self._progress.update(self._task, completed=percent, description=step)
        elif percent >= self._shown + LINE_EVERY_PERCENT or percent >= 100:
            self._shown = percent
            self._console.print(f"· first model {percent:3.0f} % {step}", highlight=False)

    def close(self) -> None:
        if self._progress.live.is_started:
            self._progress.stop()


def follow_preparation(child: subprocess.Popen[bytes], console: Console, log: Path) -> dict[str, Any]:
    """Show each report of the preparing child; return its result. Raises SetupProblem when it has none."""
    assert child.stdout is not None
    result: dict[str, Any] | None = None
    problem: SetupProblem | None = None
    bar = _Bar(console)
    try:
        with child.stdout as lines:
            for line in lines:
                report = json.loads(line)
                if report["event"] == "progress":
                    bar.show(float(report["percent"]), str(report["step"]))
                elif report["event"] == "problem":
                    problem = SetupProblem(str(report["detail"]), str(report["remedy"]))
                elif report["event"] == "done":
                    result = report
    finally:
        bar.close()
    code = child.wait()
    if problem is not None:
        raise problem
    if result is None or code != 0:
        raise SetupProblem(f"The preparation ended with exit code {code}.", f"Its log says why: {log}")
    return result


def last_words(log: Path) -> str:
    """Return the last line of a log that is no JSON record, which is how a program says why it does not start."""
    with log.open("rb") as stream:
        stream.seek(0, SEEK_END)
        stream.seek(max(0, stream.tell() - LOOK_BACK_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    said = (line.strip() for line in reversed(lines))
    return next((line.rstrip(".") for line in said if line and not line.startswith("{")), "it said nothing")
