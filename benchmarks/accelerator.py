"""What an accelerator answers in a few minutes, the most important first.

    python -m benchmarks.accelerator [--minutes 8] [--platform cuda] [--torch_python PATH]
        [--data_dir DIR] [--workdir DIR] [--json FILE]

1. bits: two processes on one accelerator, with shares 3:1, against one process, step by step; the
   rest of a run replayed from its checkpoint; the loop over microbatches against a flat batch.
2. steps: whole steps of six networks and resnet50 at several microbatches, in float32, TF32 and
   bfloat16, with the memory they take; those of PyTorch on the same accelerator.
3. mixed: one process on the accelerator and one on the CPU in one synchronous run, by measured
   shares, against the accelerator alone: accuracies and times (Salinas-A).
4. rounding: how far the losses of the accelerator and of the CPU part, step by step.
5. eurosat: eurosat_resnet50 for what time is left, with a checkpoint to go on from.

Each part runs in processes of its own, has a part of the time at most, and is told and written to
--json as soon as it ends; what fails or is cut off is told with its last lines. Without data in
--data_dir, made ones stand in, and part 5 is left out.

It needs no network. With JAX (0.10.2 to 0.12), a Python of 3.11 or 3.12 needs these packages, all
but SciPy, scikit-learn, h5py, msgspec and psutil in pure Python, to be brought as wheels where they
are missing: flax, optax, chex, orbax-checkpoint, tqdm, matplotlib and what they depend on (`pip
download -r requirements.txt`). PyTorch (2.11) may live in another environment.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Watch, add_minutes, first_line
from hsi_jax.launch.measured_processes import describe_machine
from hsi_jax.launch.workers import free_port
from hsi_jax.run.records import Step, read_records

LAST_LINES = 3
NETWORKS = "cnn1d,cnn2d,cnn3d,hybridsn,resnet20,resnet18,resnet50"
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
MODEL = ("--model=cnn2d", "--batch_size=64", "--microbatch_size=8", "--optimizer=sgd")


class Bench:
    """What the parts share: where they run, and the time they have."""

    def __init__(self, arguments: argparse.Namespace, folder: Path):
        """Begins to count the time."""
        self.arguments, self.folder = arguments, folder
        self.watch = Watch(arguments.minutes)
        data = Path(arguments.data_dir) if arguments.data_dir else None
        self.data = data if data and data.is_dir() else None

    def run(
        self, commands: Sequence[Sequence[str]], part: float, platforms: Sequence[str] = ()
    ) -> list[str]:
        """The output of programs that run at once, for at most this part of the time that is left.

        Raises:
            RuntimeError: with their last lines, if one fails or none is done in time.
        """
        limit, processes, killed = part * self.watch.left, [], False
        for number, command in enumerate(commands):
            platform = platforms[number] if platforms else self.arguments.platform
            environment = os.environ | {
                "JAX_PLATFORMS": platform,
                "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.8 / len(commands):.2f}",
            }
            with open(self.folder / f"output{number}", "w", encoding="utf-8") as log:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        try:
            for process in processes:
                process.wait(limit)
        except subprocess.TimeoutExpired:
            killed = True
        finally:
            for process in processes:
                process.kill()
                process.wait()
        texts = [(self.folder / f"output{n}").read_text() for n in range(len(commands))]
        if any(process.returncode for process in processes):
            last = [" | ".join(text.strip().splitlines()[-LAST_LINES:]) for text in texts]
            cut = f"cut off after {limit:.0f} s: " if killed else ""
            raise RuntimeError(cut + "; ".join(last))
        return texts

    def train(self, name: str, *flags: str, profile: str = "1", part: float = 0.5) -> Path:
        """The folder of a run of one process."""
        folder = self.folder / name
        command = self.train_command(folder, *flags, f"--profile={profile}")
        self.run([command], part)
        return folder

    def train_two(self, name: str, *flags: str, platforms: Sequence[str], part: float) -> Path:
        """The folder of a run of two processes, whose sums their hosts add."""
        folder, port = self.folder / name, free_port()
        join = [f"--coordinator=localhost:{port}", "--num_processes=2", "--reduce=host"]
        commands = [
            self.train_command(folder, *flags, *join, f"--process_id={rank}") for rank in range(2)
        ]
        self.run(commands, part, platforms)
        return folder

    def train_command(self, folder: Path, *flags: str) -> list[str]:
        """Starts a run, on Salinas-A where it is there."""
        scene = [f"--data_dir={self.data}", "--dataset=salinas_a"] if self.data else []
        sizes = [f"--steps={self.arguments.steps}", "--figures=none", f"--workdir={folder}"]
        return [sys.executable, "-m", "experiments.run", *scene, *MODEL, *sizes, *flags]


def bits(bench: Bench) -> dict[str, Any]:
    """Part 1."""
    half = f"--checkpoint_every={max(1, bench.arguments.steps // 2)}"
    alone = bench.train("alone", half, part=0.2)
    platforms = [bench.arguments.platform] * 2
    two = bench.train_two("two", "--profile=3:1", platforms=platforms, part=0.25)
    found: dict[str, Any] = compare(alone, two)
    last = bench.arguments.steps - 1
    verify = [sys.executable, "-m", "experiments.verify", str(alone), f"--steps={last}..{last}"]
    found["replay"] = bench.run([verify], 0.2)[0].strip().splitlines()[-2]
    return found | measure_steps(bench, "cnn2d", "float32", part=0.2)


def steps(bench: Bench) -> dict[str, Any]:
    """Part 2."""
    found: dict[str, Any] = {}
    for network in bench.arguments.networks.split(","):
        for precision in PRECISIONS:
            key = f"{network} {precision}"
            found[key] = attempt(
                lambda n=network, p=precision: measure_steps(bench, n, p, part=0.1)
            )
            print(f"  {key}: {found[key]}", flush=True)
    if bench.arguments.torch_python:
        program = str(Path(__file__).with_name("accelerator_torch.py"))
        command = [bench.arguments.torch_python, program, bench.arguments.networks]
        found["PyTorch"] = attempt(lambda: json.loads(bench.run([command], 0.3)[0]))
    return found


def mixed(bench: Bench) -> dict[str, Any]:
    """Part 3."""
    platforms = [bench.arguments.platform, "cpu"]
    both = bench.train_two("both", "--profile=measured", platforms=platforms, part=0.4)
    alone = bench.train("accelerator", part=0.4)
    read = [json.loads((folder / "summary.json").read_text()) for folder in (both, alone)]
    names = ("overall_accuracy", "step_time_ms_median", "shares", "reduce")
    return {
        name: {key: summary[key] for key in names}
        for name, summary in zip(("both", "accelerator"), read, strict=True)
    }


def rounding(bench: Bench) -> dict[str, Any]:
    """Part 4."""
    folders = []
    for platform in (bench.arguments.platform, "cpu"):
        folders.append(bench.folder / f"rounding-{platform}-{len(folders)}")
        command = bench.train_command(folders[-1], "--profile=1", "--kernels=xla")
        bench.run([command], 0.4, [platform])
    return compare(*folders)


def eurosat(bench: Bench) -> dict[str, Any]:
    """Part 5."""
    if bench.data is None:
        raise RuntimeError("no --data_dir with EuroSAT")
    folder = bench.folder / "eurosat_resnet50"
    preset = Path("hsi_jax/presets/eurosat_resnet50.flags")
    command = [
        *(sys.executable, "-m", "experiments.run", f"--flagfile={preset}", "--profile=1"),
        *(f"--data_dir={bench.data}", f"--workdir={folder}", "--checkpoint_every=200"),
    ]
    command += ["--resume"] if (folder / "checkpoints").is_dir() else []
    cut = attempt(lambda: bench.run([command], 0.95))
    records = read_steps(folder)
    return {"steps": len(records), "last loss": records[-1].loss if records else None, "end": cut}


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    part.__name__: part for part in (bits, steps, mixed, rounding, eurosat)
}


def compare(one: Path, other: Path) -> dict[str, Any]:
    """In how many of the steps of two runs the digests are equal, and how far the losses part."""
    pairs = list(zip(read_steps(one), read_steps(other), strict=True))
    return {
        "steps": len(pairs),
        "equal digests": sum(a.digest == b.digest for a, b in pairs),
        "largest difference of losses": max(
            (abs(a.loss - b.loss) for a, b in pairs if a.loss is not None and b.loss is not None),
            default=None,
        ),
    }


def read_steps(folder: Path) -> list[Step]:
    """What a run has written of its steps."""
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [record for record in read_records(lines) if isinstance(record, Step)]


def measure_steps(bench: Bench, network: str, precision: str, *, part: float) -> dict[str, Any]:
    """Steps of ours; see `benchmarks.accelerator_steps`."""
    command = [sys.executable, "-m", "benchmarks.accelerator_steps", network, precision]
    return json.loads(bench.run([command], part)[0].strip().splitlines()[-1])


def attempt(action: Callable[[], Any]) -> Any:
    """What an action gives, or what is told of its failure."""
    try:
        return action()
    except (RuntimeError, OSError, ValueError, IndexError) as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the flags."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--platform", default="cuda", help="of JAX; cpu to try the parts out")
    parser.add_argument("--parts", default=",".join(PARTS), help="some, with commas")
    parser.add_argument("--networks", default=NETWORKS, help="some, with commas")
    parser.add_argument("--steps", type=int, default=60, help="of each run")
    parser.add_argument("--torch_python", help="a Python that has PyTorch for the accelerator")
    parser.add_argument("--data_dir", help="with Salinas-A and EuroSAT")
    parser.add_argument("--workdir", help="for the runs; default a temporary folder")
    parser.add_argument("--json", help="file for all that was measured")
    add_minutes(parser)
    parser.set_defaults(minutes=8)
    flags = parser.parse_args(arguments)
    if not set(flags.parts.split(",")) <= set(PARTS):
        parser.error(f"--parts={flags.parts}: give some of {','.join(PARTS)}")
    return flags


def main() -> None:
    """Prints each part as it ends, and writes all so far to a file."""
    flags = parse_arguments()
    report: dict[str, Any] = {"machine": describe_machine(pinned=False)}
    print(report["machine"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(flags.workdir or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(flags, folder)
        for name in flags.parts.split(","):
            report[name] = attempt(lambda name=name: PARTS[name](bench))
            print(f"{name}: {json.dumps(report[name])}; {bench.watch.describe_load()}", flush=True)
            if flags.json:
                Path(flags.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
