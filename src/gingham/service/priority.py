"""The priority of threads that compute and hold no lock of Python."""

from __future__ import annotations

import os
import sys
import threading

NICE = 5
"""How far their priority is below that of others."""


def give_way() -> None:
    """Lower the priority of this thread, and of those it starts: only Linux has one a thread."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
