"""The commands of the scheduler's jobs: list them, tell how they stand, run one now."""

from kilokassa.app.upkeep import JOBS
from tests.jobs.conftest import Run


def test_the_jobs_are_listed_told_of_and_run_by_commands(installed: Run):
    listed = installed("jobs", "list", "--json").json
    assert [one["job"] for one in listed] == [job.name for job in JOBS]

    ended = installed("jobs", "run", "expire", "--json")
    assert ended.code == 0
    (done,) = ended.json
    assert (done["job"], done["state"], done["outcome"]) == ("expire", "done", 0)
    found = {one["job"]: one for one in installed("jobs", "status", "--json").json}
    assert found["expire"]["last"]["runs"] == 1
    assert found["seal_day"]["last"] is None

    unknown = installed("jobs", "run", "nonesuch")
    assert unknown.code != 0
    assert "nonesuch" in unknown.err
