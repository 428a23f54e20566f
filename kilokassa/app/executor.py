"""Where heavy work runs: a spawned process pool here, a Dask cluster by one setting.

Parts are written against `concurrent.futures.Executor`; there is no queue or cluster protocol of
our own. A part is a module-level function and one picklable order.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

from kilokassa.app.settings import PROCESS_POOL, Settings
from kilokassa.db.session import Database

Order = TypeVar("Order")
Result = TypeVar("Result")

PARTS_A_WORKER: Final = 2
"""At most so many parts are in flight for each worker: memory stays bounded, none is idle."""

_BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def open_executor(settings: Settings) -> Iterator[Executor]:
    """Open the executor that the settings name; close it, and its workers, at the end."""
    if settings.executor == PROCESS_POOL:
        with _one_thread_a_worker():
            pool = ProcessPoolExecutor(
                settings.workers, mp_context=multiprocessing.get_context("spawn")
            )
            try:
                yield pool
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return
    from distributed import Client  # the extra `cluster`

    with Client(settings.executor) as client:  # type: ignore[no-untyped-call]
        # The default pure=True would skip a second identical task in silence.
        yield cast(Executor, client.get_executor(pure=False, retries=2))


def run_parts(
    executor: Executor,
    task: Callable[[Order], Result],
    orders: Iterable[Order],
    workers: int,
) -> Iterator[Result]:
    """Yield the results of `task` over `orders` as they come, a bounded number in flight.

    The first failure is raised after what is in flight has ended: a part is written whole or not at
    all, and a repeat of the run goes on from there.
    """
    waiting = iter(orders)
    running: set[Future[Any]] = set()
    more = True
    while more or running:
        while more and len(running) < PARTS_A_WORKER * workers:
            order = next(waiting, None)
            if order is None:
                more = False
            else:
                running.add(executor.submit(task, order))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


@lru_cache(maxsize=4)
def open_database(url: str) -> Database:
    """Return this process's own access to a database: workers keep it from part to part."""
    return Database(url)


@contextmanager
def _one_thread_a_worker() -> Iterator[None]:
    """Let workers start with one BLAS thread each; they inherit the environment."""
    before = {name: os.environ.get(name) for name in _BLAS_VARIABLES}
    os.environ.update(dict.fromkeys(_BLAS_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
