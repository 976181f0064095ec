"""What the queue of SLURM says about jobs.

``submitit`` asks ``sacct``, which a small cluster may not have (it needs a database), and which it asks ever more
rarely, up to ten minutes apart. ``squeue`` is there wherever SLURM is.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence

#: Between two looks at the queue: at least and at most, and the share of the time that has passed.
LEAST_PAUSE_S, MOST_PAUSE_S, SHARE = 3.0, 60.0, 0.1
#: How long a job may take to appear in the queue.
LATE_S = 60.0
#: How long to wait for the answer.
ANSWER_S = 60.0
#: Of the process in a job: the same when it is queued again.
JOB_VARIABLE = "SLURM_JOB_ID"


class Queue:
    """Jobs in the queue, looked up now and then.

    Parameters
    ----------
    names : sequence of str
        Of jobs, ``12`` or ``12_3`` in an array.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.first = ", ".join(sorted({name.partition("_")[0] for name in names}))
        self.states: dict[str, tuple[str, str]] = {}
        self._missing: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._begin = time.monotonic()
        self._next = self._begin

    def look(self) -> None:
        """Ask SLURM, unless that was done a short while ago; what cannot be learned stays as it was."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + min(MOST_PAUSE_S, max(LEAST_PAUSE_S, SHARE * (now - self._begin)))
        states = read_queue(self.names)
        if states is not None:
            self.states = states
            for name in self.names:
                self._missing[name] = 0 if name in states else self._missing[name] + 1
            self._seen |= states.keys()

    def has_left(self, name: str) -> bool:
        """Whether a job has ended, however: it was not in the queue at the last two looks.

        One that was never there may still come, for `LATE_S`.
        """
        late = name in self._seen or time.monotonic() - self._begin > LATE_S
        return late and self._missing[name] > 1

    def describe(self) -> str:
        """In words, such as ``SLURM 12: 2 waiting (Resources)``."""
        counts = Counter(reason for state, reason in self.states.values() if state == "PENDING")
        waiting = ", ".join(
            f"{n} waiting" + (f" ({reason})" if reason != "None" else "") for reason, n in sorted(counts.items())
        )
        return f"SLURM {self.first}" + (f": {waiting}" if waiting else "")


def read_queue(names: Sequence[str]) -> dict[str, tuple[str, str]] | None:
    """Ask ``squeue`` for jobs.

    Returns
    -------
    dict of str to (str, str), or None
        State (``"PENDING"``, ``"RUNNING"``, ...) and reason by job; those that are not in the queue are left out. None
        if SLURM cannot be asked now.
    """
    numbers = ",".join(sorted({name.partition("_")[0] for name in names}))
    command = ["squeue", "--noheader", "--array", "--format=%i|%T|%r", f"--jobs={numbers}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:  # a job that ended long ago is forgotten, and named in the error
        return {} if "invalid job id" in done.stderr.lower() else None
    rows = (line.strip().split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
    return {name: (state, reason) for name, state, reason in rows if name in set(names)}


def cancel(names: Sequence[str]) -> None:
    """Take jobs out of the queue; that one has ended meanwhile is no error."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", *sorted(names)], capture_output=True, timeout=ANSWER_S, check=False)


def own_job() -> str:
    """Of this process, empty outside SLURM."""
    return os.environ.get(JOB_VARIABLE, "")
