import os

import pytest
from threadpoolctl import threadpool_info

from kilokassa.app.executor import PARTS_A_WORKER, open_executor, run_parts
from kilokassa.app.settings import Settings


def square(number: int) -> int:
    return number * number


def where(_: int) -> tuple[int, list[int]]:
    import numpy as np

    np.ones((2, 2)) @ np.ones((2, 2))
    return os.getpid(), [pool["num_threads"] for pool in threadpool_info()]


def refuse(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


@pytest.fixture(scope="module")
def executor():
    with open_executor(Settings.from_env({"KILOKASSA_WORKERS": "2"})) as opened:
        yield opened


def test_every_part_is_done_once(executor):
    assert sorted(run_parts(executor, square, range(20), 2)) == [n * n for n in range(20)]


def test_no_more_parts_wait_than_twice_the_workers(executor):
    taken = 0

    def orders():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield number

    ahead = []
    for done, _ in enumerate(run_parts(executor, square, orders(), 2), start=1):
        ahead.append(taken - done)

    assert max(ahead) <= 2 * PARTS_A_WORKER
    assert taken == 40


def test_a_part_runs_elsewhere_with_one_thread_of_arithmetic(executor):
    pid, threads = next(run_parts(executor, where, [0], 1))

    assert pid != os.getpid()
    assert set(threads) <= {1}


def test_a_failure_is_raised_and_the_executor_lives_on(executor):
    with pytest.raises(ValueError, match="three"):
        list(run_parts(executor, refuse, range(10), 2))

    assert list(run_parts(executor, square, [5], 2)) == [25]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_same_parts_run_on_a_dask_cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        settings = Settings.from_env({"KILOKASSA_EXECUTOR": cluster.scheduler_address})
        with open_executor(settings) as executor:
            twice = [*run_parts(executor, os.getpid, [], 1)]
            found = sorted(run_parts(executor, square, [2, 2, 3], 1))

    assert (twice, found) == ([], [4, 4, 9])
