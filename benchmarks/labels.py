"""What suggested labels are worth: accuracy against their number, beside labels drawn at random.

Run with ``python -m benchmarks.labels --data_dir=DIR --workdir=DIR``. DIR of the data holds Indian
Pines, whole, as standard .mat files. The test is half of the labelled pixels in blocks of their own
(`--split=disjoint`), the same for all seeds; labels come from the other half. Each seed begins with
two labels a class, drawn at random, and then takes 50 more in each round: by `suggest`, of the
model of the round before, or at random. A seed decides the first labels, the random ones and the
training. Nothing was tuned. Ctrl-C, or a kill, loses nothing: the same command goes on.
"""

import argparse
import csv
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from benchmarks.measure import first_line
from hsi_jax.data import Scene, SceneSource, Split, random_split
from hsi_jax.data.splits.split import NO_IDS
from hsi_jax.evaluate.figures.style import BLUE, COLUMN, ORANGE, SMALL, style_axes
from hsi_jax.kernels import use_compilation_cache
from hsi_jax.launch.measured_processes import describe_machine
from hsi_jax.session import RunOptions, train_scene
from hsi_jax.session.loading import open_scene, split_scene
from hsi_jax.session.suggesting import suggest_pixels
from hsi_jax.train import Recipe
from hsi_jax.trained import TrainedModel

SUGGESTED, RANDOM = "suggested", "random"
NAME = "labels_indian_pines"
HALVES = {"split": "disjoint", "train_fraction": 0.5, "validation_fraction": 0.0, "seed": 0}
FIRST, MORE, DISTANCE = 2, 50, 2  # labels of a class, labels of a round, pixels


@dataclass(frozen=True)
class Result:
    """The test of one model: how its labels were chosen, how many there are, and their seed."""

    way: str
    seed: int
    labels: int
    classes: int
    overall_accuracy: float
    average_accuracy: float


def main() -> None:
    """Trains what is not there yet, then writes and prints the table and draws it."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--model", default="mlp", help="of single pixels")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=500, help="of each training")
    asked = parser.parse_args()
    asked.workdir.mkdir(parents=True, exist_ok=True)
    use_compilation_cache()
    options = RunOptions.of(dataset="indian_pines", data_dir=asked.data_dir, **HALVES)
    scene = open_scene(options)
    halves = split_scene(options, scene)
    results = []
    for seed in range(asked.seeds):
        for way in (SUGGESTED, RANDOM):
            results += _results(asked, scene, halves, way=way, seed=seed)
    _write(asked.workdir / f"{NAME}.csv", results)
    draw(results).savefig(asked.workdir / f"{NAME}.png", dpi=200)
    print(f"{describe_machine(pinned=False)}\n\n{table(results)}")


def _results(
    asked: argparse.Namespace, scene: Scene, halves: Split, *, way: str, seed: int
) -> list[Result]:
    """A model for each round; what was done before is read."""
    file = asked.workdir / f"{way}-seed{seed}.json"
    if file.exists():
        return [Result(**row) for row in json.loads(file.read_text())]
    pool = np.full(scene.labels.shape, -1)
    pool.flat[halves.train] = scene.labels.flat[halves.train]
    ids = random_split(pool, seed, train_per_class=FIRST, small_classes="half").train
    rng, results = np.random.default_rng(seed), []
    for number in range(asked.rounds + 1):
        split = Split("file", np.sort(ids).astype(np.int32), NO_IDS, halves.test)
        recipe = Recipe(steps=asked.steps, batch_size=32, learning_rate=0.003, seed=seed)
        model = train_scene(scene, split, model=asked.model, recipe=recipe).model
        scores = model.evaluate(scene, halves.test).scores
        classes = len(np.unique(scene.labels.flat[ids]))
        accuracies = scores.overall_accuracy, scores.average_accuracy
        results.append(Result(way, seed, len(ids), classes, *accuracies))
        if number < asked.rounds:
            ids = np.concatenate([ids, _more(model, scene, pool, ids, way=way, rng=rng)])
    file.write_text(json.dumps([asdict(result) for result in results]))
    print(f"{file.stem}: OA {results[-1].overall_accuracy:.2%}", flush=True)
    return results


def _more(
    model: TrainedModel,
    scene: Scene,
    pool: np.ndarray,
    ids: np.ndarray,
    *,
    way: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """The pixels of the pool that get a label in the next round."""
    if way == RANDOM:
        return rng.choice(np.setdiff1d(np.flatnonzero(pool >= 0), ids), MORE, replace=False)
    known = np.full(pool.shape, -1)
    known.flat[ids] = pool.flat[ids]
    labelled = Scene.from_arrays(scene.name, scene.cube, known + 1)
    found = suggest_pixels(
        model,
        SceneSource(labelled),
        name=scene.name,
        count=MORE,
        distance=DISTANCE,
        excluded=pool < 0,
    )
    return np.ravel_multi_index(tuple(found.positions.T), pool.shape)


def _write(path: Path, results: list[Result]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(results[0])), lineterminator="\n")
        writer.writeheader()
        for result in results:
            row = {k: round(v, 6) if type(v) is float else v for k, v in asdict(result).items()}
            writer.writerow(row)


def by_round(results: list[Result], way: str) -> list[list[Result]]:
    """The results of one way, [rounds][seeds]."""
    own = [result for result in results if result.way == way]
    seeds = sorted({result.seed for result in own})
    runs = [[result for result in own if result.seed == seed] for seed in seeds]
    return [list(round_) for round_ in zip(*runs, strict=True)]


def interval(values: list[float]) -> tuple[float, float]:
    """A mean and the half width of its 95 % interval, by Student's t over the seeds."""
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), float(half)


def table(results: list[Result]) -> str:
    """OA by the number of labels, and the difference in pairs of a seed, as Markdown."""
    lines = [
        "| labels | suggested, OA % | random, OA % | difference, 95 % interval | AA, difference |",
        "|---|---|---|---|---|",
    ]
    rounds = [by_round(results, way) for way in (SUGGESTED, RANDOM)]
    for ours, others in zip(*rounds, strict=True):
        cells = [f"{statistics.fmean(result.labels for result in ours):.0f}"]
        for group in (ours, others):
            mean, half = interval([100 * result.overall_accuracy for result in group])
            cells.append(f"{mean:.1f} ± {half:.1f}")
        for name in ("overall_accuracy", "average_accuracy"):
            pairs = zip(ours, others, strict=True)
            mean, half = interval([100 * (getattr(a, name) - getattr(b, name)) for a, b in pairs])
            cells.append(f"{mean:+.1f} ± {half:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results: list[Result]) -> Figure:
    """Means and their intervals against the number of labels."""
    figure = Figure(figsize=(COLUMN, 0.8 * COLUMN), layout="constrained")
    axes = figure.subplots()
    style_axes(axes, x_label="labelled pixels", y_label="OA on disjoint test pixels, %")
    for way, colour, marker in ((SUGGESTED, BLUE, "o"), (RANDOM, ORANGE, "s")):
        rounds = by_round(results, way)
        numbers = [statistics.fmean(result.labels for result in round_) for round_ in rounds]
        points = [interval([100 * r.overall_accuracy for r in round_]) for round_ in rounds]
        means, halves = zip(*points, strict=True)
        given = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1, "capsize": 2}
        axes.errorbar(numbers, means, yerr=halves, label=way, **given)
    axes.legend(fontsize=SMALL, frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    main()
