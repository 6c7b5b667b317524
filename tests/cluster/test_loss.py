"""What a process says when JAX ends it; JAX's words are as several versions print them."""

import pytest

from hsi_jax.cluster.loss import explain

FATAL = (
    "F1130 14:26:16.7 12651 client.h:80] Terminating process because the JAX distributed service "
)
SILENT = (
    "detected fatal errors. UNAVAILABLE: The following tasks are unhealthy (stopped sending heart"
)


@pytest.mark.parametrize(
    ("printed", "lost"),
    [
        (f"{FATAL}{SILENT}beats):\n1\nThe tasks have crashed.", 1),
        (f"{FATAL}{SILENT}beats):\n/job:jax_worker/replica:0/task:12\n", 12),
        (f"{FATAL}: /job:jax_worker/task:3 heartbeat timeout.", 3),
        (f"{FATAL}: Failed to send RPC to coordination service.", 0),
        ("note\nF1130 1 a.cc:1] Check failed: x\n *** stack", "Check failed: x"),
        ("free(): invalid pointer\n", "invalid pointer"),
        ("", "nothing"),
    ],
)
def test_the_line_names_who_was_lost_or_what_native_code_said(printed, lost):
    rank, reason = explain(printed)
    assert "\n" not in reason
    if isinstance(lost, int):
        assert rank == lost
    else:
        assert rank is None
        assert lost in reason
