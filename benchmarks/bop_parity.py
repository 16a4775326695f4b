"""Our BOP-19 figures beside those of thodan/bop_toolkit, on the same files.

    python benchmarks/bop_parity.py BOP_TOOLKIT LMO [--golden test/evaluation/bop19/golden.json]

BOP_TOOLKIT is a checkout of the toolkit, LMO the folder of LM-O in BOP's layout. Runs the toolkit's
own scripts and this package on spoiled ground truth of LM-O and of two made data sets, and on a
real method's results if the checkout has some. Prints the largest differences and fails if one is
above 1e-6. The golden keeps estimates and the toolkit's figures, so that the tests can repeat this
without the toolkit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
# The golden must not hang on a graphics driver: the tests' exact solids serve here too.
sys.path.insert(0, str(REPOSITORY / "test"))

from bop_parity_sets import (  # noqa: E402
    ParitySet,
    make_crowd,
    make_lmo,
    make_turned_solids,
    with_estimates,
)
from bop_parity_toolkit import PairErrors, Toolkit, ToolkitFigures  # noqa: E402

from casapose_ros.data.bop import BopDataset  # noqa: E402
from casapose_ros.data.depth_rendering import DepthRenderer  # noqa: E402
from casapose_ros.data.meshes import load_object_set  # noqa: E402
from casapose_ros.evaluation import bop19  # noqa: E402
from casapose_ros.evaluation.bop19.comparing import REFERENCE_WIDTH, TargetErrors  # noqa: E402
from casapose_ros.evaluation.bop19.evaluating import compare_frame  # noqa: E402
from casapose_ros.evaluation.datasets import (  # noqa: E402
    BopSource,
    count_objects,
    frame_name,
    load_objects,
    load_references,
    records_of,
)
from casapose_ros.evaluation.results import read_bop_csv  # noqa: E402

TOLERANCE = 1e-6
SEED = 19
KINDS = ("vsd", "mssd", "mspd")
DIGITS = 9


@dataclass(frozen=True)
class OurFigures:
    """What this package says about one results file.

    Attributes:
        errors: By (scene, image, object).
        diameters: Metres, by object.
        scores: The recalls.
        objects: BOP id by the name of an object.
    """

    errors: dict[tuple[int, int, int], TargetErrors]
    diameters: dict[int, float]
    scores: bop19.BopScores
    objects: dict[str, int]


@dataclass(frozen=True)
class Row:
    """The largest differences of one set.

    Attributes:
        title: The set.
        pairs: Estimates times true instances compared.
        errors: By error type: VSD, MSSD in mm, MSPD in px.
        recalls: By error type of any recall, per threshold, per object and averaged; ``all`` of AR.
        average_recall: The toolkit's AR, of the first round.
    """

    title: str
    pairs: int
    errors: dict[str, float]
    recalls: dict[str, float]
    average_recall: float

    @property
    def largest(self) -> float:
        """The largest of all differences."""
        return max(*self.errors.values(), *self.recalls.values())

    def joined(self, other: Row) -> Row:
        """This round and another one."""
        return replace(
            self,
            pairs=self.pairs + other.pairs,
            errors={kind: max(value, other.errors[kind]) for kind, value in self.errors.items()},
            recalls={kind: max(value, other.recalls[kind]) for kind, value in self.recalls.items()},
        )


def main() -> int:
    """Make the sets, run both, print the table, and write the golden."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("toolkit", type=Path, help="checkout of thodan/bop_toolkit")
    parser.add_argument("lmo", type=Path, help="folder of LM-O")
    parser.add_argument("--rounds", type=int, default=5, help="estimates per set (%(default)s)")
    parser.add_argument("--golden", type=Path, help="keep the first round in this file")
    args = parser.parse_args()
    rows, kept = {}, {}
    with tempfile.TemporaryDirectory() as temporary, _lmo_renderer(args.lmo) as renderer:
        root = Path(temporary)
        toolkit = Toolkit(args.toolkit.resolve(), root)
        rng = np.random.default_rng(SEED)
        sets = [make_turned_solids(root, rng), make_crowd(root, rng)]
        sets.append(make_lmo(root, args.lmo, renderer.render, rng))
        more = [with_estimates(s, rng, i) for s in sets for i in range(2, args.rounds + 1)]
        for parity_set in [*sets, *more, *_real_results(args.toolkit, sets[-1])]:
            theirs, ours = toolkit.evaluate(parity_set), evaluate(parity_set)
            row = compare(parity_set, theirs, ours)
            rows[row.title] = rows[row.title].joined(row) if row.title in rows else row
            if parity_set.goes_into_golden:
                kept[parity_set.name] = _golden(parity_set, theirs)
    print_table(list(rows.values()))
    largest = max(row.largest for row in rows.values())
    print(f"largest difference {largest:.1e}, allowed {TOLERANCE:.0e}")
    if args.golden:
        golden = {"toolkit": _version(args.toolkit), "seed": SEED, "sets": kept}
        args.golden.write_text(json.dumps(golden, separators=(",", ":"), allow_nan=False) + "\n")
    return int(not largest <= TOLERANCE)


def evaluate(parity_set: ParitySet) -> OurFigures:
    """Our figures from the same files."""
    objects = load_objects(parity_set.path)
    frames = tuple(BopDataset(parity_set.path, parity_set.split))
    references = load_references(parity_set.path, objects, count_objects(frames))
    source = BopSource(parity_set.name, frames, objects)
    here = {frame_name(frame) for frame in frames}  # of results for all of LM-O, our 20 images
    results = [r for r in read_bop_csv(parity_set.results, objects) if r.name in here]
    records, _ = records_of(results, [source])
    targets = bop19.read_targets(parity_set.path / bop19.TARGETS_FILE)
    depth = bop19.DepthSource(bop19.measured_depth(frames), parity_set.render)
    ids = {obj.name: obj.bop_id for obj in objects}
    errors = {}
    for record in records:
        image = (record.scene_id, record.image_id)
        asked = {t.bop_id: t.count for t in targets if (t.scene_id, t.image_id) == image}
        counts = {name: asked[i] for name, i in ids.items() if i in asked}
        for target in compare_frame(record, references, counts, depth):
            errors[(*image, ids[target.name])] = target
    scores = bop19.evaluate(records, references, targets, depth)
    diameters = {r.model.bop_id: r.model.diameter for r in references.values()}
    return OurFigures(errors, diameters, scores, ids)


def compare(parity_set: ParitySet, theirs: ToolkitFigures, ours: OurFigures) -> Row:
    """The largest differences; infinite where the two do not even speak of the same pairs."""
    kinds = {kind: [0.0] for kind in KINDS}
    pairs = 0
    asked = {key for key, target in ours.errors.items() if target.estimates}
    same = asked == theirs.errors.keys()
    for key in asked & theirs.errors.keys():
        target, rows = ours.errors[key], theirs.errors[key]
        same &= target.mssd.shape == (len(rows), len(rows[0]))
        mssd = target.mssd * ours.diameters[key[2]] * 1000
        mspd = target.mspd * parity_set.size[0] / REFERENCE_WIDTH
        for i, j in np.ndindex(target.mssd.shape):
            pairs += 1
            mine = {"vsd": target.vsd[i, j], "mssd": mssd[i, j], "mspd": mspd[i, j]}
            for kind, values in mine.items():
                kinds[kind].append(difference(getattr(rows[i][j], kind), values))
    errors = {kind: max(values) if same else np.inf for kind, values in kinds.items()}
    average = theirs.averages["bop19_average_recall"]
    return Row(parity_set.title, pairs, errors, compare_recalls(theirs, ours), average)


def compare_recalls(theirs: ToolkitFigures, ours: OurFigures) -> dict[str, float]:
    """The largest difference per error type of any recall; ``all`` is the overall average."""
    scores = ours.scores
    overall = theirs.averages["bop19_average_recall"]
    result = {"all": difference(overall, scores.total.average_recall)}
    for kind in KINDS:
        apart = [
            difference(
                theirs.averages[f"bop19_average_recall_{kind}"], getattr(scores.total, kind)
            ),
            difference(theirs.recalls[kind], getattr(scores, f"{kind}_recalls")),
        ]
        apart += [
            difference(theirs.object_recalls[ours.objects[mine.name]][kind].mean(), value)
            for mine in scores.objects
            # The toolkit says 0 where nothing was asked for, we say that it is not known.
            if not np.isnan(value := getattr(mine, kind))
        ]
        result[kind] = max(apart)
    return result


def difference(theirs: Any, ours: Any) -> float:
    """Largest absolute difference of numbers or arrays; of two infinities none."""
    theirs, ours = np.asarray(theirs, dtype=float), np.asarray(ours, dtype=float)
    with np.errstate(invalid="ignore"):
        apart = np.where(theirs == ours, 0.0, np.abs(theirs - ours))
    return float(np.max(np.nan_to_num(apart, nan=np.inf)))


def print_table(rows: list[Row]) -> None:
    """One line per set, in Markdown."""
    heads = ["set", "pairs", "VSD", "MSSD mm", "MSPD px", "AR VSD", "AR MSSD", "AR MSPD", "AR"]
    print("| " + " | ".join(heads) + " | the AR itself |")
    print("|" + "---|" * (len(heads) + 1))
    for row in rows:
        values = [row.errors[kind] for kind in KINDS]
        values += [row.recalls[kind] for kind in (*KINDS, "all")]
        texts = [row.title, str(row.pairs), *(f"{value:.1e}" for value in values)]
        print(f"| {' | '.join(texts)} | {row.average_recall:.4f} |")


def _lmo_renderer(lmo: Path) -> DepthRenderer:
    object_set = load_object_set(lmo / "models_eval")
    return DepthRenderer({obj.name: object_set.mesh(obj) for obj in object_set.objects})


def _real_results(toolkit: Path, lmo: ParitySet) -> list[ParitySet]:
    """LM-O with a method's own results, which the toolkit brings for its tests."""
    files = (toolkit / "bop_toolkit_lib/tests/data/results_sub").glob("cnos*_lmo-test_*.csv")
    found = []
    for file in files:
        path = lmo.results.parent / file.name
        path.symlink_to(file.resolve())
        title = f"LM-O, results of {file.name.split('_')[0]}"
        found.append(replace(lmo, title=title, results=path, goes_into_golden=False))
    return found


def _version(toolkit: Path) -> str:
    command = ["git", "-C", str(toolkit), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return f"thodan/bop_toolkit {commit}"


def _golden(parity_set: ParitySet, theirs: ToolkitFigures) -> dict[str, Any]:
    """Estimates and the toolkit's figures; of a made set also everything that it consists of."""
    made = parity_set.name != "lmo"
    kinds = KINDS if made else KINDS[1:]  # drawn depth differs a little from driver to driver
    golden = {
        "estimates": parity_set.results.read_text().splitlines(),
        "errors": {
            "/".join(map(str, key)): [[_pair(pair, kinds) for pair in row] for row in rows]
            for key, rows in theirs.errors.items()
        },
        "recalls": {kind: theirs.recalls[kind].round(DIGITS).tolist() for kind in kinds},
        "object_recalls": {
            bop_id: {kind: round(float(recalls[kind].mean()), DIGITS) for kind in kinds}
            for bop_id, recalls in theirs.object_recalls.items()
        },
    }
    return golden | (_contents(parity_set) if made else {})


def _pair(pair: PairErrors, kinds: tuple[str, ...]) -> list:
    """MSSD and MSPD, and ten VSD where they are kept; null for infinity."""
    values = [pair.mssd, pair.mspd, *(pair.vsd if "vsd" in kinds else ())]
    return [round(value, DIGITS) if np.isfinite(value) else None for value in values]


def _contents(parity_set: ParitySet) -> dict[str, Any]:
    """A made set without its meshes and images, which follow from the points."""
    scenes = sorted((parity_set.path / parity_set.split).iterdir())
    truths = {scene.name: _load(scene / "scene_gt.json") for scene in scenes}
    used = {str(t["obj_id"]) for s in truths.values() for entries in s.values() for t in entries}
    infos = _load(parity_set.path / "models_eval" / "models_info.json")
    return {
        "size": parity_set.size,
        "split": parity_set.split,
        "models": {bop_id: infos[bop_id] for bop_id in sorted(used)},
        "points": {bop_id: parity_set.points[int(bop_id)].tolist() for bop_id in sorted(used)},
        "scenes": {
            scene.name: {f.stem: _load(f) for f in sorted(scene.glob("*.json"))} for scene in scenes
        },
        "targets": _load(parity_set.path / bop19.TARGETS_FILE),
    }


def _load(path: Path) -> Any:
    return json.loads(path.read_text())


if __name__ == "__main__":
    raise SystemExit(main())
