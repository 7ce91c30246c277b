"""The afternoon script at full load, with a subscriber to everything like the daemon's."""

from __future__ import annotations

import time

from benchmarks import accounting
from benchmarks.accounting import Load, Tally
from benchmarks.children import Child
from benchmarks.daemon import receiving
from benchmarks.material import Material


def measure(given: Material) -> Load:
    """A window of it; its frames are counted where they arrive, as it keeps no account itself."""
    with (
        Child("afternoon", bundle=given.bundle, clips=list(map(str, given.clips))) as script,
        receiving(script.answer()["endpoint"], "plain") as receiver,
    ):

        def count() -> Tally:
            answer = receiver.ask()
            return Tally(answer["verdicts"], answer["defective"])

        time.sleep(given.plan.warm_up)
        return accounting.watch(script.pid, count, given.plan.window)
