"""What every benchmark shares: memory of a process tree, a calibration, the line that is printed.

`peak_mib` is the maximum, over the run, of the summed PSS of all its processes. The calibration of
the same run lets an absolute figure be judged on another machine.
"""

import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import numpy as np

BENCHMARKS = {
    "rating": "bench.rating",
    "rating_bulk": "bench.rating_bulk",
    "import": "bench.import_readings",
    "month_close": "bench.month_close",
    "suspects": "bench.suspects",
    "rehearsal": "bench.rehearsal",
    "runway": "bench.runway",
    "wallet": "bench.wallet",
}
SAMPLED_EVERY_S = 0.2
"""Often enough to see a part of a run, seldom enough not to slow it down."""
RESULTS = Path(__file__).parent / "results.jsonl"


def run_benchmark(name: str) -> dict[str, object]:
    """Run one benchmark; return its figures, its calibration and the machine."""
    run = import_module(BENCHMARKS[name]).run
    peak = peak_of_process(os.getpid())
    figures = dict(run())
    figures.setdefault("peak_mib", peak())
    figures |= calibration()
    return {"name": name, "figures": figures, "machine": machine()}


def keep(result: Mapping[str, object]) -> str:
    """Append a result to `results.jsonl` and return its line."""
    line = json.dumps(result, ensure_ascii=False)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    return line


def peak_of_process(pid: int) -> Callable[[], float]:
    """Start watching a process and all it starts; the function returned ends it and tells the peak.

    In MiB of PSS: what processes share is counted once.
    """
    highest = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not ended.wait(SAMPLED_EVERY_S):
            highest = max(highest, sum(_pss_kib(member) for member in _tree(pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()

    def peak() -> float:
        ended.set()
        watcher.join()
        return round(highest / 1024, 1)

    return peak


def calibration() -> dict[str, object]:
    """Return how fast numpy adds on one core, and how long a write takes to be durable."""
    values = np.ones(32 * 1024 * 1024, dtype=np.int32)
    values.sum()
    started = time.perf_counter()
    for _ in range(5):
        values.sum()
    seconds = (time.perf_counter() - started) / 5
    return {
        "sum_gib_per_s": round(values.nbytes / 2**30 / seconds, 2),
        "fsync_ms": round(_fsync_ms(), 3),
    }


def machine() -> dict[str, object]:
    """Return what tells one machine from another."""
    with Path("/proc/meminfo").open(encoding="ascii") as file:
        total_kib = int(file.readline().split()[1])
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(total_kib / 2**20, 1),
        "processor": _processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _fsync_ms() -> float:
    with tempfile.NamedTemporaryFile() as file:
        times = []
        for _ in range(20):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2] * 1000


def _tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        member = waiting.pop()
        found.append(member)
        waiting.extend(children.get(member, []))
    return found


def _pss_kib(pid: int) -> int:
    try:
        with Path(f"/proc/{pid}/smaps_rollup").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass  # it ended meanwhile
    return 0


def _processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
