"""Our figures against those that the BOP toolkit gave for the same estimates.

``benchmarks/bop_parity.py`` made the golden, which holds the estimates, the toolkit's errors of
every pair and its recalls; of the data sets of solids it holds everything, LM-O lies elsewhere.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from solid_sets import solid_renderer, write_depth, write_models, write_scenes

from casapose_ros.data.bop import BopDataset, BopFrame
from casapose_ros.evaluation import bop19
from casapose_ros.evaluation.bop19.comparing import REFERENCE_WIDTH, TargetErrors
from casapose_ros.evaluation.bop19.evaluating import compare_frame
from casapose_ros.evaluation.datasets import (
    BopSource,
    count_objects,
    load_objects,
    load_references,
    records_of,
)
from casapose_ros.evaluation.matching import Reference
from casapose_ros.evaluation.records import FrameRecord
from casapose_ros.evaluation.results import read_bop_csv

TOLERANCE = 1e-6
GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())["sets"]
SOLIDS = ["tudl", "tless"]


@dataclass(frozen=True)
class Case:
    """A golden set as the commands would read it."""

    golden: dict
    frames: tuple[BopFrame, ...]
    references: dict[str, Reference]
    records: list[FrameRecord]
    targets: list[bop19.Target]
    depth: bop19.DepthSource | None

    def scores(self) -> bop19.BopScores:
        return bop19.evaluate(self.records, self.references, self.targets, self.depth)

    def errors(self) -> dict[str, TargetErrors]:
        """By ``scene/image/object``, as in the golden."""
        names = {r.model.bop_id: name for name, r in self.references.items()}
        found = {}
        for record in self.records:
            counts = {
                names[t.bop_id]: t.count
                for t in self.targets
                if (t.scene_id, t.image_id) == (record.scene_id, record.image_id)
            }
            for target in compare_frame(record, self.references, counts, self.depth):
                bop_id = self.references[target.name].model.bop_id
                found[f"{record.scene_id}/{record.image_id}/{bop_id}"] = target
        return found


def read_case(golden: dict, dataset: Path, split: str, folder: Path, render=None) -> Case:
    objects = load_objects(dataset)
    frames = tuple(BopDataset(dataset, split))
    (folder / "results.csv").write_text("\n".join(golden["estimates"]) + "\n")
    results = read_bop_csv(folder / "results.csv", objects)
    return Case(
        golden=golden,
        frames=frames,
        references=load_references(dataset, objects, count_objects(frames)),
        records=records_of(results, [BopSource(dataset.name, frames, objects)])[0],
        targets=bop19.read_targets(dataset / bop19.TARGETS_FILE),
        depth=render and bop19.DepthSource(bop19.measured_depth(frames), render),
    )


@pytest.fixture(scope="module", params=SOLIDS)
def solids(request, tmp_path_factory) -> Case:
    golden = GOLDEN[request.param]
    path = tmp_path_factory.mktemp("solids") / request.param
    points = {int(bop_id): np.array(values) for bop_id, values in golden["points"].items()}
    write_models(path / "models_eval", points, golden["models"])
    write_scenes(path / golden["split"], golden["scenes"], *golden["size"])
    render = solid_renderer(points)
    write_depth(path, golden["split"], render)
    (path / bop19.TARGETS_FILE).write_text(json.dumps(golden["targets"]))
    return read_case(golden, path, golden["split"], path.parent, render)


@pytest.fixture(scope="module")
def lmo(shared_dir, tmp_path_factory) -> Case:
    path = shared_dir / "data" / "lmo"
    if not path.is_dir():
        pytest.skip("LM-O is not at ../shared/data/lmo")
    return read_case(GOLDEN["lmo"], path, "test", tmp_path_factory.mktemp("lmo"))


def check_errors(case: Case) -> None:
    """Every estimate of every target, best score first, to every true instance."""
    ours = case.errors()
    golden = case.golden["errors"]
    assert {key for key, target in ours.items() if target.estimates} == set(golden)
    for key, rows in golden.items():
        target = ours[key]
        name = target.name
        width = case.frames[0].camera.width
        mssd = 1000 * case.references[name].model.diameter * target.mssd[..., None]
        mspd = width / REFERENCE_WIDTH * target.mspd[..., None]
        parts = [mssd, mspd] + ([] if target.vsd is None else [target.vsd])
        expected = np.array(rows, dtype=float)  # null becomes NaN
        expected[np.isnan(expected)] = np.inf
        np.testing.assert_allclose(
            np.concatenate(parts, axis=2), expected, rtol=0, atol=TOLERANCE, err_msg=key
        )


def check_recalls(case: Case, without_vsd: str) -> None:
    scores = case.scores()
    assert scores.without_vsd == without_vsd
    names = {name: str(r.model.bop_id) for name, r in case.references.items()}
    for kind, expected in case.golden["recalls"].items():
        ours = getattr(scores, f"{kind}_recalls")
        np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE)
        assert getattr(scores.total, kind) == pytest.approx(np.mean(expected), abs=TOLERANCE)
        for mine in scores.objects:
            if mine.targets:
                golden = case.golden["object_recalls"][names[mine.name]][kind]
                assert getattr(mine, kind) == pytest.approx(golden, abs=TOLERANCE)


def test_every_error_of_solids_is_the_toolkits(solids):
    check_errors(solids)


def test_every_recall_of_solids_is_the_toolkits(solids):
    assert set(solids.golden["recalls"]) == {"vsd", "mssd", "mspd"}
    check_recalls(solids, without_vsd="")


def test_every_error_of_lmo_is_the_toolkits(lmo):
    check_errors(lmo)


def test_every_recall_of_lmo_is_the_toolkits(lmo):
    check_recalls(lmo, without_vsd="the data set has no depth images")


def test_the_golden_has_what_is_easily_got_wrong():
    crowd = GOLDEN["tless"]
    keys = [tuple(map(int, key.split("/"))) for key in crowd["errors"]]
    asked = {(t["scene_id"], t["im_id"], t["obj_id"]): t["inst_count"] for t in crowd["targets"]}
    there = {key: len(rows[0]) for key, rows in zip(keys, crowd["errors"].values(), strict=True)}
    assert any(asked[key] < there[key] for key in keys), "fewer asked for than there are"
    assert any(asked[key] > there[key] for key in keys), "more asked for than there are"
    scores = [tuple(line.split(",")[:4]) for line in crowd["estimates"]]
    assert len(set(scores)) < len(scores), "ties of the score"
    pairs = [
        pair for s in GOLDEN.values() for rows in s["errors"].values() for r in rows for pair in r
    ]
    assert any(pair[0] is None for pair in pairs), "poses too far apart for MSSD"
    vsd = np.array([pair[2:] for pair in pairs if len(pair) > 2])
    assert (vsd == 1).all(axis=1).any() and ((vsd > 0) & (vsd < 1)).any()
