"""What each part of a training recipe is worth: every variant gets the same CPU time.

    python benchmarks/training_recipes.py config/ablations/sample_efficiency.yaml \\
        --objects OBJECTS --data DATA [DATA ...] --out OUT --cpu-minutes 10 --seeds 0 1

The YAML holds ``base``, settings of ``casapose train``, and ``variants``: by name, what each one
changes. A short run of each variant measures its CPU time per step; from that follows how many
steps it may take, so that its schedule ends with its time. CPU time of all threads counts, not that
of the clock, but other work on the machine makes a step's time uncertain by some 5 %: a variant
that costs what another one does should say so, ``cost_of: NAME``, and takes as many steps.

What is trained is kept, and a second call goes on where the first was stopped. With
``--start-from`` all runs go on from one trained model, so that minutes show what matters once masks
are good. A variant may also name its own ``data``: a list of those folders of ``--data`` (by name)
that it learns from.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import numpy as np
import yaml

from casapose_ros.bundle import load_bundle
from casapose_ros.files import replacing
from casapose_ros.training.logs import TRAINING_LOG, VALIDATION_LOG, read_log

CALIBRATION_STEPS = 100
COST_FILE = "cpu_per_step.json"
SKIPPED_STEPS = 50
"""Of the calibration: they contain the compilation."""
FIGURES = {
    "keypoint_error": "keypoints, mean px",
    "median_keypoint_error": "median px",
    "mask_iou": "mask IoU",
    "recall_add_10": "ADD 10 %",
    "recall_add_20": "ADD 20 %",
}


@dataclass(frozen=True)
class Variant:
    """One recipe.

    Attributes:
        name: What the table calls it.
        settings: All settings of ``casapose train``.
        data: Folders to learn from.
        folder: Where its runs live.
        cost_of: The variant of which the CPU time of a step is measured; itself, mostly.
    """

    name: str
    settings: dict
    data: tuple[Path, ...]
    folder: Path
    cost_of: str

    def run(self, seed: int) -> Path:
        return self.folder / f"seed{seed}"


def main() -> None:
    args = _arguments()
    recipes = yaml.safe_load(args.recipes.read_text())
    variants = [_variant(n, v or {}, recipes["base"], args) for n, v in recipes["variants"].items()]
    unknown = {v.cost_of for v in variants} - {v.name for v in variants}
    if unknown:
        raise SystemExit(f"{args.recipes}: cost_of: no variant {', '.join(sorted(unknown))}")
    jobs = [(variant, seed) for seed in args.seeds for variant in variants]
    cores: Queue = Queue()
    available = sorted(os.sched_getaffinity(0))
    for number in range(args.jobs):
        cores.put(set(available[number :: args.jobs]))
    with ThreadPoolExecutor(args.jobs) as pool:
        for _ in pool.map(lambda v: _with_cores(cores, _calibrate, args, v), variants):
            pass
        for _ in pool.map(lambda job: _with_cores(cores, _train, args, *job), jobs):
            pass
    table = _table(variants, args)
    print(table)
    with replacing(args.out / "table.md") as part:
        part.write_text(table + "\n")
    _plot(variants, args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipes", type=Path, metavar="YAML")
    parser.add_argument("--objects", type=Path, required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="BOPDIR")
    parser.add_argument("--cache", type=Path, help="folder for resized frames")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--cpu-minutes", type=float, default=10.0, help="for each run (%(default)s)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--start-from", type=Path, metavar="BUNDLE", help="trained model that all runs go on from"
    )
    parser.add_argument("--show", nargs="*", default=[], metavar="OBJECT", help="its recall too")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (%(default)s)")
    return parser.parse_args()


def _variant(name: str, changes: dict, base: dict, args: argparse.Namespace) -> Variant:
    changes = dict(changes)
    cost_of = changes.pop("cost_of", name)
    known = {path.name: path for path in args.data}
    data = tuple(known[n] for n in changes.pop("data", known))
    settings = dict(base)
    for key, value in changes.items():
        # A nested section changes only the keys that it names.
        settings[key] = {**settings.get(key, {}), **value} if isinstance(value, dict) else value
    return Variant(name, settings, data, args.out / name, cost_of)


def _with_cores(cores: Queue, work, args, *job) -> None:
    mine = cores.get()
    try:
        work(args, mine, *job)
    finally:
        cores.put(mine)


def _calibrate(args: argparse.Namespace, cores: set[int], variant: Variant) -> None:
    """Measure the CPU time of a step."""
    if variant.cost_of != variant.name:
        return
    note = variant.folder / COST_FILE
    folder = variant.folder / "calibration"
    never = {"validate_every": 10**6, "checkpoint_every": 10**6, "validation_frames": 1}
    settings = {**variant.settings, "steps": CALIBRATION_STEPS, **never}
    if note.exists():
        _check_same(args, folder, settings)
        return
    _call(args, cores, variant, settings, folder)
    rows = [r for r in read_log(folder / TRAINING_LOG) if r["step"] > SKIPPED_STEPS]
    note.write_text(json.dumps(float(np.mean([r["cpu_seconds_per_step"] for r in rows]))))


def _steps(args: argparse.Namespace, variant: Variant) -> int:
    seconds = json.loads((args.out / variant.cost_of / COST_FILE).read_text())
    return 2 * int(args.cpu_minutes * 30 / seconds)  # even: it is validated in the middle too


def _train(args: argparse.Namespace, cores: set[int], variant: Variant, seed: int) -> None:
    steps = _steps(args, variant)
    settings = {**variant.settings, "steps": steps, "seed": seed, "validate_every": steps // 2}
    log = read_log(variant.run(seed) / VALIDATION_LOG)
    if log and log[-1]["step"] == steps:
        _check_same(args, variant.run(seed), settings)
        return
    _call(args, cores, variant, settings, variant.run(seed))


def _check_same(args: argparse.Namespace, folder: Path, settings: dict) -> None:
    """What stands in the table has to be what the recipes say."""
    started = json.loads((folder / "data.json").read_text()).get("trained_model")
    trained = load_bundle(args.start_from).weights_sha256[:16] if args.start_from else None
    if yaml.safe_load((folder / "train.yaml").read_text()) != settings or started != trained:
        raise SystemExit(
            f"{folder} was trained with other settings, or from another start: remove it or "
            "rename the variant"
        )


def _call(
    args: argparse.Namespace, cores: set[int], variant: Variant, settings: dict, folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "train.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "casapose_ros.cli", "train", "--resume"]
    command += ["--config", config, "--objects", args.objects, "--out", folder]
    command += ["--data", *variant.data]
    command += ["--cache", args.cache] if args.cache else []
    command += ["--start-from", args.start_from] if args.start_from else []
    with open(folder / "output.txt", "w") as output:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    if done.returncode:
        raise SystemExit(f"{variant.name}: training failed, see {folder / 'output.txt'}")


def _table(variants: list[Variant], args: argparse.Namespace) -> str:
    """Markdown; a figure is the mean over the seeds, with half their range."""
    figures = FIGURES | {f"{name}/recall_add_10": f"{name} ADD 10 %" for name in args.show}
    lines = [
        f"{args.cpu_minutes:g} CPU minutes each, seeds {', '.join(map(str, args.seeds))}",
        "",
        "| | steps | " + " | ".join(figures.values()) + " |",
        "|---|---|" + "---|" * len(figures),
    ]
    for variant in variants:
        last = [read_log(variant.run(seed) / VALIDATION_LOG)[-1] for seed in args.seeds]
        cells = []
        for name in figures:
            values = np.array([row[name] for row in last])
            scale, digits = (1, 2) if "keypoint" in name else (100, 1)
            spread = f" ± {scale * np.ptp(values) / 2:.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{scale * values.mean():.{digits}f}{spread}")
        lines.append(f"| {variant.name} | {_steps(args, variant)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plot(variants: list[Variant], args: argparse.Namespace) -> None:
    """The voting loss, which no loss weight scales, over the CPU time; the first seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for number, variant in enumerate(variants):
        rows = read_log(variant.run(args.seeds[0]) / TRAINING_LOG)
        share = np.array([row["step"] for row in rows]) / _steps(args, variant)
        values = np.array([row["voting"] for row in rows])
        smooth = np.convolve(values, np.full(5, 0.2), "valid")
        style = "-" if number < 10 else "--"
        axes.semilogy(args.cpu_minutes * share[4:], smooth, style, label=variant.name)
    axes.set(xlabel="CPU minutes", ylabel="voting loss (px)", title="Training curves")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(args.out / "curves.png", dpi=110)


if __name__ == "__main__":
    main()
