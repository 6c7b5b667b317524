"""What a process says when JAX ends it; JAX's words are as several versions print them."""

import re

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
        (f"{FATAL}{SILENT}beats):\n1\nThe tasks have crashed.", "process 1 was lost"),
        (f"{FATAL}{SILENT}beats):\n/job:jax_worker/replica:0/task:12\n", "process 12 was lost"),
        (f"{FATAL}: /job:jax_worker/task:3 heartbeat timeout.", "process 3 was lost"),
        (f"{FATAL}: Failed to send RPC to coordination service.", "process 0 was lost"),
        ("note\nF1130 1 a.cc:1] Check failed: x\n *** stack", "native code.*Check failed: x"),
        ("free(): invalid pointer\n", "native code.*invalid pointer"),
        ("", "native code.*nothing"),
    ],
)
def test_the_line_names_who_was_lost_or_what_native_code_said(printed, lost):
    line = explain(printed)
    assert re.search(lost, line)
    assert "\n" not in line
