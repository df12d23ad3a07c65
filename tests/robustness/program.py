"""A program run to its end, and what it took."""

import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass

PATIENCE = 120  # seconds until a program counts as one that hangs


@dataclass(frozen=True)
class Outcome:
    status: int  # the exit status; negative: the signal that ended it
    output: str
    errors: str
    cpu_seconds: float  # user and system
    peak_bytes: int  # the most memory that was resident at once


def run(*command, **options):
    """Runs `command`; `options` are those of subprocess.Popen."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=errors, **options)
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        return Outcome(process.returncode, _text(output), _text(errors), usage.ru_utime + usage.ru_stime,
                       usage.ru_maxrss * 1024)


def _text(stream):
    stream.seek(0)
    return stream.read().decode(errors="backslashreplace")
