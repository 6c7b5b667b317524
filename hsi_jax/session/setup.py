"""From the configuration to everything that training starts from."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import optax

from hsi_jax.cluster.devices import choose_devices, emulate_devices, find_devices
from hsi_jax.cluster.exchange import devices_of_processes, num_processes
from hsi_jax.cluster.launchers import describe_unused_tasks
from hsi_jax.cluster.mpi import choose_engine, join_survivors
from hsi_jax.cluster.processes import check_alike, gather_texts, join_cluster, rank
from hsi_jax.errors import InputError
from hsi_jax.hetero import Device, Plan, Profile, make_plan
from hsi_jax.hetero.timing import choose_microbatch_size
from hsi_jax.options import values, with_values
from hsi_jax.run import RunFolder
from hsi_jax.run.folder import check_place
from hsi_jax.run.lock import locked, new_folder
from hsi_jax.session.device_options import DeviceOptions
from hsi_jax.session.fingerprint import Fingerprint, fingerprint
from hsi_jax.session.loading import load_dataset
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import Resolved
from hsi_jax.session.resume_check import resumable_folder
from hsi_jax.session.takeover import ready_to_take_over, tell_place
from hsi_jax.temporary import temporary_folder
from hsi_jax.train import (
    Dataset,
    Recipe,
    Replicas,
    TrainState,
    first_state,
    measure_profile,
    measure_throughputs,
)
from hsi_jax.train.pretraining import pretraining_state

OWN_TO_A_PROCESS = ("process_id", "workdir", "devices_per_process")


@dataclass(frozen=True)
class Setup:
    """What a run starts from; nothing in its folder has been touched yet.

    Attributes:
        resolved: the configuration and what it means here.
        folder: of the results.
        dataset: what is learnt from.
        fingerprint: of the dataset, taken before training; its file may be gone afterwards.
        recipe: how.
        profile: of the devices; while they are to be measured, of like ones.
        plan: of each batch.
        replicas: the devices and the samples.
        state: the first one.
        schedule: of the learning rate.
        num_steps: of the training.
    """

    resolved: Resolved
    folder: RunFolder
    dataset: Dataset
    fingerprint: Fingerprint
    recipe: Recipe
    profile: Profile
    plan: Plan
    replicas: Replicas
    state: TrainState
    schedule: optax.Schedule
    num_steps: int

    @property
    def options(self) -> RunOptions:
        """The options of the run."""
        return self.resolved.options

    @property
    def sets_that_choose(self) -> tuple[Literal["validation", "test"], ...]:
        """The sets of the split that are evaluated while training; the last one chooses the state.

        With `as_published` that is the test, beside the validation that should.
        """
        validation: tuple[Literal["validation", "test"], ...] = (
            ("validation",) if len(self.dataset.split.validation) else ()
        )
        return (*validation, "test") if self.options.split.as_published else validation

    @property
    def steps_between_validations(self) -> int:
        """An epoch, or more where there would be too many validations."""
        return self.recipe.steps_between_validations(len(self.dataset.split.train))


def set_up(
    resolved: Resolved, profile: Profile, folder: RunFolder, dataset: Dataset | None = None
) -> Setup:
    """Loads the data and makes the first state.

    Args:
        resolved: the options and what they mean here.
        profile: of the devices; see `join_devices`.
        folder: of the results; see `claimed_folder`.
        dataset: instead of the one that the options name.

    Raises:
        InputError: on a mistake of the user's.
    """
    options = resolved.options
    recipe = options.recipe.with_microbatch_size(options.recipe.microbatch_sizes[0])
    if dataset is None:
        dataset = load_dataset(resolved, choose_devices(len(profile)))
    digests = fingerprint(dataset, resolved.start)
    if num_processes() > 1:
        _check_same_data(digests)
    num_steps = recipe.num_steps(len(dataset.split.train))
    dataset, state = _begin(resolved, dataset, recipe)
    return Setup(
        resolved=resolved,
        folder=folder,
        dataset=dataset,
        fingerprint=digests,
        recipe=recipe,
        profile=profile,
        plan=_plan(options, profile, recipe),
        state=state,
        replicas=Replicas(len(profile), dataset.samples),
        schedule=recipe.make_schedule(num_steps),
        num_steps=num_steps,
    )


def _begin(resolved: Resolved, dataset: Dataset, recipe: Recipe) -> tuple[Dataset, TrainState]:
    """The first state, and the dataset with what that state may have seen of its test samples."""
    options, start = resolved.options, resolved.start
    model, text = options.model_name, options.model.model_options
    if options.learning.pretrains:
        masking = options.masking
        return dataset, pretraining_state(dataset, recipe, model, options=text, masking=masking)
    state = first_state(dataset, recipe, model, text)
    if start is None:
        return dataset, state
    remarks = (*dataset.split.remarks, start.describe_leakage(dataset))
    told = dataclasses.replace(dataset, split=dataclasses.replace(dataset.split, remarks=remarks))
    return told, start.begin(state, dataset, freeze=options.learning.freeze)


def _check_same_data(digests: Fingerprint) -> None:
    """Checks that all processes have read the same data.

    Raises:
        InputError: in every process, naming those whose data differ, and in what.
    """
    for name, digest in digests.parts.items():
        found = gather_texts(digest.encode())
        others = [str(number) for number, text in enumerate(found) if text != found[0]]
        if others:
            raise InputError(
                f"process {', '.join(others)} and process 0 do not have the same {name}; give all "
                f"processes the same files"
            )


def _plan(options: RunOptions, profile: Profile, recipe: Recipe) -> Plan:
    size = recipe.microbatch_sizes[0]
    return make_plan(options.devices.scheme, profile, recipe.batch_size, size)


def choose_size(setup: Setup) -> tuple[Setup, dict[int, float]]:
    """Chooses the microbatch size by what is measured, alike in all processes.

    Returns:
        The setup with that size, and samples per second of each size.
    """
    options, recipe = setup.options, setup.options.recipe
    batch = setup.dataset.batches(recipe)(0)
    rates = measure_throughputs(setup.replicas, setup.state, batch, recipe.microbatch_sizes)
    size = choose_microbatch_size(rates, recipe.batch_size, len(setup.profile))
    recipe = recipe.with_microbatch_size(size)
    options = dataclasses.replace(options, recipe=recipe)
    resolved = dataclasses.replace(setup.resolved, options=options)
    plan = _plan(options, setup.profile, recipe)
    return dataclasses.replace(setup, resolved=resolved, recipe=recipe, plan=plan), rates


def measure_speeds(setup: Setup) -> Setup:
    """The setup with a measured profile, and a plan that follows it."""
    recipe = setup.recipe
    batch = setup.dataset.batches(recipe)(0)
    size = setup.plan.microbatch_size
    profile = measure_profile(setup.replicas, setup.state, batch, size)
    plan = _plan(setup.options, profile, recipe)
    return dataclasses.replace(setup, profile=profile, plan=plan)


def join_devices(resolved: Resolved) -> Profile:
    """Joins or emulates the devices; their declared profile, or like ones where it is measured.

    Raises:
        InputError: on a mistake of the user's.
    """
    options, profile = resolved.options, resolved.profile
    if not resolved.in_cluster:
        assert profile is not None  # `resolve` has seen to it
        emulate_devices(len(profile))
        find_devices()
        return profile
    _join_processes(options.devices)
    check_alike({k: v for k, v in values(options).items() if k not in OWN_TO_A_PROCESS})
    counts = devices_of_processes()
    if profile is None:
        return Profile(tuple(Device(f"device {number}", 1.0) for number in range(sum(counts))))
    if len(profile) != sum(counts):
        has = f"{sum(counts)} devices" if max(counts) > 1 else ""
        raise InputError(
            f"`profile`={options.devices.profile} has {len(profile)} devices, but {len(counts)} "
            f"processes {f'with {has} ' if has else ''}have joined; give one speed for each "
            f"{'device, process by process' if has else 'process'}"
        )
    return profile


def _join_processes(devices: DeviceOptions) -> None:
    """Joins the other processes by the engine that was asked for."""
    if choose_engine(devices.engine, devices.reduce, devices.coordinator) == "mpi":
        join_survivors(
            devices_per_process=devices.devices_per_process,
            reduce=devices.reduce,
            lost_after=devices.lost_after,
        )
        return
    join_cluster(
        devices.coordinator or None,
        devices.num_processes,
        devices.process_id,
        devices_per_process=devices.devices_per_process,
        reduce=devices.reduce,
    )


def describe_choice(resolved: Resolved) -> list[str]:
    """Lines that tell what was chosen for the devices, where that may surprise."""
    if resolved.in_cluster:
        return []
    lines = []
    device = find_devices()[0]
    if resolved.options.devices.profile is None and device.platform != "cpu":
        count = len(resolved.profile_name.split(":"))
        lines.append(f"Devices  {count} x {device.device_kind}, a like share for each (`profile`)")
    if note := describe_unused_tasks():
        lines.append(f"NOTE     {note}")
    return lines


@contextlib.contextmanager
def claimed_folder(options: RunOptions) -> Iterator[RunFolder]:
    """The run's folder, which no other process can have meanwhile; in process 0 of a cluster.

    The other processes write theirs where nobody looks, unless they have to take over.

    Raises:
        InputError: if another process has it, or it cannot be used.
    """
    if rank() > 0:
        with temporary_folder() as nowhere, ready_to_take_over(nowhere) as folder:
            yield folder
        return
    if options.checkpoints.resume:
        RunFolder.of_run(options.output.workdir)
    path = Path(workdir_of(options))
    check_place(path)
    with locked(path, fresh=not options.output.workdir):
        options = with_values(options, workdir=str(path))
        tell_place(path)
        yield (
            resumable_folder(options)
            if options.checkpoints.resume
            else RunFolder(path, options.output.overwrite)
        )


def workdir_of(options: RunOptions) -> str:
    """The folder asked for; or one under runs/ named after the time, which is made.

    Two runs that begin in one second get two folders.
    """
    if options.output.workdir:
        return options.output.workdir
    names = f"{options.data.dataset}-{options.model_name}"
    plain = re.sub(r"[^\w.-]+", "_", names)  # without what has a meaning in paths
    return str(new_folder(f"runs/{plain}-{datetime.now():%Y%m%d-%H%M%S}"))
