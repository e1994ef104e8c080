from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gingham.service.priority import NICE, give_way


def own() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_a_thread_and_those_it_starts_give_way_and_no_other_does() -> None:
    def start_another() -> tuple[int, int]:
        with ThreadPoolExecutor(1) as pool:
            return own(), pool.submit(own).result()

    before = own()
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        lower = min(before + NICE, 19)
        assert pool.submit(start_another).result() == (lower, lower)
    assert own() == before
