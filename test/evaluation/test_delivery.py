import json
from dataclasses import replace

import numpy as np
import pytest

from casapose_ros.errors import DatasetError, OutputError
from casapose_ros.evaluation.delivery import (
    Delivery,
    Drops,
    SentImage,
    read_delivery,
    write_delivery,
)

START = 1_700_000_000_123_456_789


def sent(number, latency=None):
    age = None if latency is None else latency + 0.03
    return SentImage(START + number * 10**8, 0.1 * number, 0.001, latency, age)


DELIVERY = Delivery(
    images=(sent(0, 0.08), sent(1), sent(2, 0.09), sent(3), sent(4, 1 / 3)),
    drops=Drops(busy=1, lost=1),
    speed=2.0,
    reliable=False,
    warm_up=7.5,
    problems=("the recording is cut off",),
)


def test_figures():
    assert (DELIVERY.sent, DELIVERY.answered, DELIVERY.dropped) == (5, 3, 2)
    assert DELIVERY.rate == pytest.approx(10)
    np.testing.assert_allclose(DELIVERY.latencies, [0.08, 0.09, 1 / 3])
    np.testing.assert_allclose(DELIVERY.ages, [0.11, 0.12, 1 / 3 + 0.03])
    np.testing.assert_allclose(DELIVERY.lateness, 5 * [0.001])


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_have_no_rate(count):
    few = replace(DELIVERY, images=DELIVERY.images[1 : 1 + count])
    assert np.isnan(few.rate)
    assert (few.sent, few.answered, few.latencies.shape) == (count, 0, (0,))


def test_written_and_read_back_is_the_same(tmp_path):
    path = tmp_path / "delivery.json"
    write_delivery(DELIVERY, path)
    assert read_delivery(path) == DELIVERY


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 2, "images": []}', "\udcff"]
)
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "delivery.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=r"delivery\.json"):
        read_delivery(path)


def test_damaged_values_are_refused(tmp_path):
    path = tmp_path / "delivery.json"
    write_delivery(DELIVERY, path)
    document = json.loads(path.read_text())
    document["images"][0]["stamp"] = "yesterday"
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="stamp"):
        read_delivery(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_delivery(tmp_path / "delivery.json")
    with pytest.raises(OutputError, match="cannot be written"):
        write_delivery(DELIVERY, tmp_path / "nowhere" / "delivery.json")
