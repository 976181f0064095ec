"""The queue of SLURM: which jobs it holds, and how a job is cancelled.

``submitit`` asks ``sacct``, which needs a database that a small cluster may not have, and asks it at intervals that
grow to ten minutes. ``squeue`` exists wherever SLURM does.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence

#: Shortest and longest time between two queries of the queue, and its share of the time that has passed.
MIN_PAUSE_S, MAX_PAUSE_S, PAUSE_SHARE = 3.0, 60.0, 0.1
#: Longest time until a job appears in the queue.
MAX_DELAY_S = 60.0
#: Longest time until SLURM answers.
MAX_ANSWER_S = 60.0
#: Environment variable with the number of a job, which stays the same when the job is queued again.
JOB_VARIABLE = "SLURM_JOB_ID"


class Queue:
    """Jobs in the queue, which is queried from time to time.

    Parameters
    ----------
    names : sequence of str
        Names of jobs, ``12``, or ``12_3`` in an array.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.first = ", ".join(sorted({name.partition("_")[0] for name in names}))
        self.states: dict[str, tuple[str, str]] = {}
        self._n_missing: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._begin = time.monotonic()
        self._next = self._begin

    def update(self) -> None:
        """Query SLURM, unless that was done a short while ago; without an answer, states stay as they were."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + min(MAX_PAUSE_S, max(MIN_PAUSE_S, PAUSE_SHARE * (now - self._begin)))
        states = read_queue(self.names)
        if states is not None:
            self.states = states
            for name in self.names:
                self._n_missing[name] = 0 if name in states else self._n_missing[name] + 1
            self._seen |= states.keys()

    def has_left(self, name: str) -> bool:
        """Whether a job has ended, with whatever result: the queue did not hold it at the last two queries.

        A job that was never in the queue may still appear there, for `MAX_DELAY_S`.
        """
        must_have_appeared = name in self._seen or time.monotonic() - self._begin > MAX_DELAY_S
        return must_have_appeared and self._n_missing[name] > 1

    def describe(self) -> str:
        """Describe the queue in words, such as ``SLURM 12: 2 waiting (Resources)``."""
        counts = Counter(reason for state, reason in self.states.values() if state == "PENDING")
        waiting = ", ".join(
            f"{n} waiting" + (f" ({reason})" if reason != "None" else "") for reason, n in sorted(counts.items())
        )
        return f"SLURM {self.first}" + (f": {waiting}" if waiting else "")


def read_queue(names: Sequence[str]) -> dict[str, tuple[str, str]] | None:
    """Query ``squeue`` for jobs.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    dict of str to (str, str), or None
        State (``"PENDING"``, ``"RUNNING"``, ...) and reason by job, for jobs in the queue. None if SLURM does not
        answer now.
    """
    numbers = ",".join(sorted({name.partition("_")[0] for name in names}))
    command = ["squeue", "--noheader", "--array", "--format=%i|%T|%r", f"--jobs={numbers}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:  # SLURM forgets a job that ended long ago, and reports its number as an error
        return {} if "invalid job id" in done.stderr.lower() else None
    rows = (line.strip().split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
    return {name: (state, reason) for name, state, reason in rows if name in set(names)}


def cancel(names: Sequence[str]) -> None:
    """Cancel jobs; a job that has ended meanwhile is no error."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", *sorted(names)], capture_output=True, timeout=MAX_ANSWER_S, check=False)


def own_job() -> str:
    """Return the number of the job that this process runs in; empty outside SLURM."""
    return os.environ.get(JOB_VARIABLE, "")
