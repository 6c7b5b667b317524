"""Whether pretraining without labels helps a classifier that has few of them.

Run with ``python -m benchmarks.pretraining --data_dir=DIR --workdir=DIR``. DIR of the data holds
Indian Pines, whole, as standard .mat files. For each fraction of labels and each seed one
classifier is trained from scratch, one from an encoder that has seen all pixels without labels, and
one from an encoder that has not seen this split's test pixels. All three take the same split, steps
and settings; nothing was tuned for any of them, and the last state counts, because so few labels
leave none to choose it by. Ctrl-C, or a kill, loses nothing: the same command goes on.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import jax

from benchmarks.measure import first_line
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import digest_of_samples
from hsi_jax.evaluate.measures.paired import PairedTest, Trial, corrected_t_test, paired_tests
from hsi_jax.kernels import use_compilation_cache
from hsi_jax.launch.measured_processes import describe_machine
from hsi_jax.session import RunOptions, run, train_scene
from hsi_jax.session.loading import open_scene, split_scene
from hsi_jax.train import Recipe

SCRATCH, ALL, WITHOUT_TEST = "from scratch", "pretrained", "pretrained without test pixels"
VARIANTS = (SCRATCH, ALL, WITHOUT_TEST)
RESULTS = "pretraining_indian_pines.csv"
NETWORK, DEPTH = {"model": "vit", "patch_size": 3}, "depth=2"


@dataclass(frozen=True)
class Result:
    """One classifier: how it began, its labels, and its accuracy on the test pixels."""

    variant: str
    fraction: float
    seed: int
    overall_accuracy: float
    average_accuracy: float
    kappa: float
    num_train: int
    num_test: int
    samples: str
    test_samples: str
    seconds: float


def main() -> None:
    """Trains what is not there yet, then writes and prints the tables."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--fractions", default="0.01,0.03,0.1")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pretraining_steps", type=int, default=800)
    parser.add_argument("--steps", type=int, default=400, help="of each classifier")
    asked = parser.parse_args()
    asked.workdir.mkdir(parents=True, exist_ok=True)
    use_compilation_cache()
    scene, results = open_scene(_options(asked)), []
    for seed in range(asked.seeds):
        for fraction in map(float, asked.fractions.split(",")):
            for variant in VARIANTS:
                results.append(_result(asked, scene, variant, fraction=fraction, seed=seed))
    _write(asked.workdir / RESULTS, results)
    print(f"{describe_machine(pinned=False)}\n")
    print(table(results))


def _options(asked: argparse.Namespace, **more) -> RunOptions:
    return RunOptions.of(
        dataset="indian_pines",
        data_dir=asked.data_dir,
        profile="1",
        model_options=DEPTH,
        **NETWORK,
        **more,
    )


def _result(
    asked: argparse.Namespace, scene: Scene, variant: str, *, fraction: float, seed: int
) -> Result:
    """The result of one classifier, trained now or before."""
    file = asked.workdir / f"{variant.replace(' ', '_')}-{fraction:g}-seed{seed}.json"
    if file.exists():
        return Result(**json.loads(file.read_text()))
    split_options = {"split": "disjoint", "train_fraction": fraction, "seed": seed}
    init = _init(asked, variant, split_options)
    began = time.perf_counter()
    split = split_scene(_options(asked, validation_fraction=0.0, **split_options), scene)
    recipe = Recipe(steps=asked.steps, batch_size=32, seed=seed)
    if init is None:
        trained = train_scene(scene, split, recipe=recipe, options=DEPTH, **NETWORK)
    else:
        trained = train_scene(scene, split, recipe=recipe, init=init)
    scores = trained.model.evaluate(scene, split.test).scores
    result = Result(
        variant,
        fraction,
        seed,
        scores.overall_accuracy,
        scores.average_accuracy,
        scores.kappa,
        len(split.train),
        len(split.test),
        digest_of_samples(split.train, split.validation, split.test),
        digest_of_samples(split.test),
        time.perf_counter() - began,
    )
    file.write_text(json.dumps(asdict(result)))
    jax.clear_caches()  # each program takes several of the pieces of memory that Linux allows
    print(f"{file.stem}: OA {result.overall_accuracy:.2%}, {result.seconds:.0f} s", flush=True)
    return result


def _init(asked: argparse.Namespace, variant: str, split_options: dict) -> Path | None:
    """The folder that a classifier starts from, or None."""
    if variant == SCRATCH:
        return None
    if variant == ALL:
        return _encoder(asked, "all")
    name = f"without_test-{split_options['train_fraction']:g}-seed{split_options['seed']}"
    return _encoder(asked, name, pretrain_on="without_test", **split_options)


def _encoder(asked: argparse.Namespace, name: str, **options) -> Path:
    """The folder of an encoder, pretrained now, or before, or the rest of it now."""
    folder = asked.workdir / f"encoder-{name}"
    if (folder / "model" / "model.json").exists():
        return folder
    done = run(
        _options(
            asked,
            task="pretrain",
            steps=asked.pretraining_steps,
            schedule="warmup_cosine",
            figures="none",
            checkpoint_every=100,
            keep_checkpoints=1,
            resume=(folder / "config.json").exists(),
            workdir=str(folder),
            **options,
        )
    )
    if done.summary.interrupted:
        sys.exit(130)
    return folder


def _write(path: Path, results: list[Result]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(results[0])), lineterminator="\n")
        writer.writeheader()
        for result in results:
            row = {k: round(v, 6) if type(v) is float else v for k, v in asdict(result).items()}
            writer.writerow(row)


def table(results: list[Result]) -> str:
    """OA over the seeds, and the paired test of each variant against the first, as Markdown."""
    lines = [
        "| labels | network | OA, mean ± deviation over seeds | AA | difference from scratch "
        "| corrected test: 95 % interval, p (Holm) | plain paired t-test: 95 % interval, p |",
        "|---|---|---|---|---|---|---|",
    ]
    for fraction in dict.fromkeys(result.fraction for result in results):
        own = [result for result in results if result.fraction == fraction]
        tests = {
            test.second: test
            for test in paired_tests([_trial(result) for result in own])
            if test.first == SCRATCH
        }
        for variant in VARIANTS:
            rows = [result for result in own if result.variant == variant]
            oa = [100 * row.overall_accuracy for row in rows]
            aa = statistics.fmean(100 * row.average_accuracy for row in rows)
            spread = statistics.stdev(oa) if len(oa) > 1 else 0.0
            cells = [f"{fraction:.0%}, {rows[0].num_train}", variant]
            cells += [f"{statistics.fmean(oa):.2f} ± {spread:.2f}", f"{aa:.2f}"]
            lines.append(f"| {' | '.join([*cells, *_test_cells(tests.get(variant))])} |")
    return "\n".join(lines)


def _trial(result: Result) -> Trial:
    return Trial(
        result.variant,
        result.seed,
        result.overall_accuracy,
        result.num_train,
        result.num_test,
        result.samples,
        result.test_samples,
    )


def _test_cells(test: PairedTest | None) -> list[str]:
    """A difference with its tests; the plain one takes the splits of the seeds as independent."""
    if test is None or test.mean is None:
        return [""] * 3
    mean = f"{-100 * test.mean:+.2f}"
    if test.interval is None or test.p_value is None or test.adjusted_p_value is None:
        return [mean, test.reason, ""]
    plain, p_value = corrected_t_test(list(test.differences.values()), ratio=0)
    corrected = f"{_turned(test.interval)}, {test.p_value:.3f} ({test.adjusted_p_value:.3f})"
    return [mean, corrected, f"{_turned(plain)}, {p_value:.3f}"]


def _turned(interval: tuple[float, float]) -> str:
    """The interval of the difference the other way round, in percent."""
    low, high = (-100 * end for end in reversed(interval))
    return f"{low:+.2f} to {high:+.2f}"


if __name__ == "__main__":
    main()
