"""The end of a run without labels: errors of reconstruction, the encoder, and pictures of both."""

from typing import Any, Literal

import numpy as np

from hsi_jax.cluster.exchange import by_first
from hsi_jax.run.pretraining_summary import PretrainingSummary, ReconstructionSummary
from hsi_jax.session import console
from hsi_jax.session.results import model_of, reconstruct_set
from hsi_jax.session.setup import Setup
from hsi_jax.session.summarise import summarise_facts
from hsi_jax.train import Fit, TrainState
from hsi_jax.train.pretraining import ReconstructionErrors, reconstruct
from hsi_jax.trained import TrainedModel

EXAMPLES = 6  # patches in reconstruction.npz


def finish_pretraining(
    setup: Setup, fitted: Fit, **facts: Any
) -> tuple[PretrainingSummary, TrainedModel]:
    """Measures the chosen state, and writes what the run has found.

    Args:
        setup: what the run started from.
        fitted: its training.
        facts: the other arguments of `summarise_facts`.
    """
    from hsi_jax.session.writing import end  # Matplotlib would delay the first step

    held_out = len(setup.dataset.split.validation) > 0
    name: Literal["validation", "train"] = "validation" if held_out else "train"
    errors = reconstruct_set(setup, fitted.state, name, fitted.best_step)
    summary = PretrainingSummary(
        **summarise_facts(setup, fitted, **facts),
        task="pretrain",
        reconstruction=_summarise(setup, errors, name),
    )
    model = model_of(setup, fitted.state, fitted.best_step)

    def write_found() -> None:
        setup.folder.write_summary(summary)
        model.save(setup.folder.model, overwrite=True)

    by_first(write_found)
    console.print_lines(describe_end(summary))
    examples = _examples(setup, fitted.state, getattr(setup.dataset.split, name))

    def write_examples() -> None:
        setup.folder.write_arrays("reconstruction.npz", **examples)
        end(setup)

    by_first(write_examples)
    return summary, model


def _summarise(setup: Setup, errors: ReconstructionErrors, name: str) -> ReconstructionSummary:
    groups, pixels = setup.options.masking.counts(setup.dataset.input_shape)
    rows = errors.by_channel()
    return ReconstructionSummary(
        measured_on=name,
        pixels=len(getattr(setup.dataset.split, name)),
        error=errors.error,
        error_of_mean=errors.error_of_mean,
        per_band=[None if row is None else row[0] for row in rows],
        per_band_of_mean=[None if row is None else row[1] for row in rows],
        hidden_groups=groups,
        hidden_pixels=pixels,
    )


def describe_end(summary: PretrainingSummary) -> str:
    """The lines printed after the measurement."""
    found = summary.reconstruction
    whose = "held out" if found.measured_on == "validation" else "learnt from"
    lines = [
        *console.describe_steps(summary),
        f"Reconstruction error {found.error:.4f} of the hidden values of {found.pixels} pixels "
        f"{whose}{console.describe_state(summary)}; the mean alone has {found.error_of_mean:.4f}",
        "Mean squares, in units of the scaled bands, whose deviation is 1. An encoder has no "
        "accuracy: train a classifier from it with `init`.",
    ]
    if summary.interrupted:
        lines.append(console.INTERRUPTED)
    return "\n".join(lines)


def _examples(setup: Setup, state: TrainState, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Some patches, what is hidden of them, and what is made of the rest."""
    shown = ids[np.linspace(0, len(ids) - 1, min(EXAMPLES, len(ids))).astype(int)]
    given = {"profile": setup.profile, "plan": setup.plan}
    patches, hidden, made = reconstruct(setup.replicas, state, shown, **given)
    source = setup.dataset.source
    assert source is not None  # there is pretraining of scenes alone
    known = {"ids": shown, "patches": patches, "hidden": hidden, "made": made}
    if source.wavelengths is not None and patches.shape[-1] == source.num_bands:
        known["wavelengths"] = source.wavelengths
    return known
