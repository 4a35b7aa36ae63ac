"""Bad inputs: each gets one sentence that names the value and the way out. The cases are in `bad`, as a table."""
from __future__ import annotations

import re
import tempfile

from ordeal import bad, forked, sentence
from ordeal.report import PASSED, Result, result


def run(share: float, jobs: int) -> list[Result]:
    """Each in a process of its own, which has a store and data of its own."""
    cases = bad.CASES[::max(1, round(1 / share))]
    return forked.lanes(cases, _case, jobs)


def _case(one: bad.Bad) -> Result:
    with forked.scratch() as place:
        ended = forked.run(lambda: one.do(place), {**forked.store_at(place), **one.env})
        said = ended.said.replace(str(place), "…").replace(tempfile.gettempdir(), "/tmp").strip()
        wrong = "it does not end" if ended.stuck else (
            "it was taken without a word" if ended.code == 0 else f"it ends with {ended.code}" if ended.code != 2 else
            sentence.wrong(said, *one.named))
        if wrong and ended.code == 1 and "Traceback" in said:
            wrong, said = "a traceback", said.splitlines()[-1]
        found = result(one.kind, one.shown, wrong, said, ended.seconds)
        if found.status == PASSED and said.startswith("usage: "):
            found = Result(found.kind, found.case, PASSED, re.sub(r"^python -m replication.*?: error: ", "",
                                                                  said.splitlines()[-1]), found.seconds)
        return found
