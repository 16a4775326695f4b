"""The log of a run: exact numbers, torn lines, foreign files, full disks, and little memory."""

import dataclasses
import json

import numpy as np
import pytest
from stand_ins import CAMERA, NumberedModel

from casapose_ros.errors import ConfigError, DatasetError, OutputError
from casapose_ros.evaluation.matching import TrueObject
from casapose_ros.evaluation.record_log import RecordLog, RunHeader, read_log
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.geometry import rotation_from_vector

HEADER = RunHeader("model", "abc", ("bag",), {"component": "largest", "sizes": (1, 2)})


def record(name="000000/000001", **changes) -> FrameRecord:
    R = rotation_from_vector([0.1, 0.2, 0.3])
    (pose,) = NumberedModel().run(np.full((16, 16, 3), 7, np.uint8), CAMERA).objects
    values = FrameRecord(
        name=name,
        source="bag",
        camera=CAMERA,
        poses=(dataclasses.replace(pose, R_cam_obj=R, box=(np.nan,) * 4),),
        truths=(TrueObject("cube", R.T, np.array([0.1, 1 / 3, 2e-17 + 1]), 0.7),),
        mask_ious={"cube": 1 / 7},
        times={"network": 0.1},
        network_size=(16, 8),
        stamp=1_700_000_000_123_456_789,
    )
    return dataclasses.replace(values, **changes)


def assert_equal(a, b):
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b)
        for f in dataclasses.fields(a):
            assert_equal(getattr(a, f.name), getattr(b, f.name))
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, tuple):
        assert isinstance(b, tuple) and len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    elif isinstance(a, float):
        assert a == b or (np.isnan(a) and np.isnan(b))
    else:
        assert a == b


@pytest.mark.parametrize("changes", [{}, {"network_size": None, "poses": (), "scene_id": 3}])
def test_a_record_comes_back_to_the_last_digit(tmp_path, changes):
    path = tmp_path / "log.jsonl"
    with RecordLog(path, HEADER) as log:
        log.append(record(**changes))
    header, (again,) = read_log(path)
    assert header.sources == HEADER.sources and header.weights == "abc"
    assert_equal(record(**changes), again)


def test_a_record_is_on_disk_at_once(tmp_path):
    path = tmp_path / "log.jsonl"
    with RecordLog(path, HEADER) as log:
        log.append(record())
        assert len(read_log(path)[1]) == 1


def test_a_line_cut_short_is_dropped_wherever_it_is_cut(tmp_path):
    path = tmp_path / "log.jsonl"
    with RecordLog(path, HEADER) as log:
        log.append(record("first"))
        log.append(record("second"))
    content = path.read_bytes()
    start = content.index(b'{"name":"second"')
    for end in range(start, len(content)):
        path.write_bytes(content[:end])
        with RecordLog(path, HEADER, resume=True) as log:
            assert log.names == {"first"}
        assert path.read_bytes() == content[:start]


def test_without_resume_an_old_log_is_replaced(tmp_path):
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        with RecordLog(path, HEADER) as log:
            assert len(log) == 0
            log.append(record())
    assert len(read_log(path)[1]) == 1


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    with (
        RecordLog(tmp_path / "log.jsonl", HEADER) as log,
        pytest.raises(OutputError, match="another run is writing there"),
    ):
        log.append(record())
        RecordLog(tmp_path / "log.jsonl", HEADER)
    assert len(read_log(tmp_path / "log.jsonl")[1]) == 1


def test_a_log_of_another_run_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    RecordLog(path, HEADER).__exit__()
    other = dataclasses.replace(HEADER, weights="def")
    with pytest.raises(ConfigError, match="weights: 'abc' there, 'def' here"):
        RecordLog(path, other, resume=True)


def test_a_log_from_before_a_setting_was_there_is_gone_on_with(tmp_path):
    """As if it had had its default: ``max_instances`` is 1."""
    path = tmp_path / "log.jsonl"
    RecordLog(path, HEADER).__exit__()
    for instances in (2, 1):
        settings = {**HEADER.settings, "max_instances": instances}
        header = dataclasses.replace(HEADER, settings=settings)
        if instances == 1:
            RecordLog(path, header, resume=True).__exit__()
        else:
            with pytest.raises(ConfigError, match=r"run \(max_instances: 1 there, 2 here\);"):
                RecordLog(path, header, resume=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a log"),
        ("[1]\n", "line 1 is no record"),
        ('{"format": 7}\n', "not a log of evaluated frames"),
        ('{"format": 1}\n', "not a log of evaluated frames"),
        ('{"format": 1, "model": "m", "weights": "", "sources": [], "settings": {}}\n{"a": 1}\n',
         "not a record"),
        ("{\n{}\n", "line 1 is damaged"),
        (b"\xff\xfe\n", "cannot be read"),
    ],
)  # fmt: skip
def test_files_that_are_no_logs(tmp_path, content, message):
    path = tmp_path / "log.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=message):
        read_log(path)


def test_a_full_disk_keeps_what_is_done(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    with (
        pytest.raises(OutputError, match="No space left.*the 1 frames before are kept"),
        RecordLog(path, HEADER) as log,
    ):
        log.append(record("first"))
        log._file.close()
        log._file = open("/dev/full", "wb")  # noqa: SIM115
        log.append(record("second"))
    assert [r.name for r in read_log(path)[1]] == ["first"]
    assert json.loads(path.read_text().splitlines()[0])["model"] == "model"


def named(*names, source="bag"):
    return [record(name, source=source) for name in names]


def test_records_are_read_again_source_by_source(tmp_path):
    first, second = named("a1", "a2", source="a"), named("b1", "b2", source="b")
    with RecordLog(tmp_path / "log.jsonl", HEADER) as log:
        for one in (second[0], first[0], first[1], second[1]):
            log.append(one)
        records = log.records(["a", "b"])
        for _ in range(2):
            assert_equal(tuple(records), (*first, *second))
        assert len(records) == 4
        assert_equal(records[3], second[1])


def test_records_of_a_run_that_went_on_are_found_again(tmp_path):
    for resume, name in ((False, "first"), (True, "second"), (True, "third")):
        with RecordLog(tmp_path / "log.jsonl", HEADER, resume) as log:
            log.append(record(name))
            names = [one.name for one in log.records(["bag"])]
    assert names == ["first", "second", "third"] and log.names == set(names)


def test_a_frame_that_was_done_twice_counts_once(tmp_path):
    """As where a cluster repeats what a lost worker had done."""
    again = record("first", times={"network": 0.2})
    with RecordLog(tmp_path / "log.jsonl", HEADER) as log:
        for one in (*named("first", "second"), again):
            log.append(one)
        assert_equal(tuple(log.records(["bag"])), (again, record("second")))
