"""A run over sources is the same in one process, in several, on a cluster, and in two halves."""

import json

import pytest
from stand_ins import NumberedSource, load_numbered_model

from casapose_ros.errors import CasaposeError, ConfigError, DatasetError
from casapose_ros.evaluation.record_log import RecordLog, RunHeader, read_log
from casapose_ros.evaluation.records import to_json
from casapose_ros.evaluation.running import run_sources

HEADER = RunHeader("model", "abc", ("three sources",))


def sources(**changes):
    return [NumberedSource(0, 3), NumberedSource(1, 5, **changes), NumberedSource(2, 2)]


@pytest.fixture
def run(tmp_path):
    def run(given, resume=False, **how):
        done = []
        with RecordLog(tmp_path / "log.jsonl", HEADER, resume) as log:
            problems = run_sources(given, load_numbered_model, log, done.append, **how)
            logged = log.records([source.name for source in given])
            records = [json.dumps(to_json(record)) for record in logged]
        return records, problems, sum(done)

    return run


def test_one_process_goes_through_the_sources_in_order(run):
    records, problems, done = run(sources())
    names = [json.loads(record)["name"] for record in records]
    assert names == [f"source {s}/{i}" for s, n in enumerate((3, 5, 2)) for i in range(n)]
    assert problems == [f"source {s}: one problem" for s in range(3)]
    assert done == 10


def test_several_processes_give_the_same_records(run):
    assert run(sources(), jobs=3) == run(sources())


def test_a_cluster_gives_the_same_records(run):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        on_cluster = run(sources(), cluster=cluster.scheduler_address)
    assert on_cluster == run(sources())


def test_no_scheduler_at_the_address(run):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(ConfigError, match="--cluster tcp://127.0.0.1:9: no Dask scheduler"):
        run(sources(), cluster="tcp://127.0.0.1:9")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_was_done_before_a_failure_is_kept_and_not_done_again(run, tmp_path, jobs):
    with pytest.raises(DatasetError, match="source 1/3: broken"):
        run(sources(fails_at=3), jobs=jobs)
    kept = {record.name for record in read_log(tmp_path / "log.jsonl")[1]}
    assert {f"source {s}/{i}" for s in range(2) for i in range(3)} <= kept
    records, _, done = run(sources(), resume=True, jobs=jobs)
    assert (records, done) == (run(sources())[0], 10)


def test_a_worker_that_dies_is_reported(run):
    with pytest.raises(CasaposeError, match="a worker process died.*--resume"):
        run(sources(kills_at=2), jobs=2)
