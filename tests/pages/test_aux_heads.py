"""The numbers of *Do auxiliary heads help?* that are not its claims."""
from __future__ import annotations

import pytest

from replication.pages import aux_heads
from replication.studies import study


def test_the_same_seed_elsewhere_is_as_far_as_another_seed() -> None:
    """As computed by somebody else from the same forty pairs of runs: 7.3 points as published and 2.7 with BN."""
    found = aux_heads.elsewhere(study.stored("v1.aux", "cpu")).set_index(["machine", "norm"])
    processor = found.loc["AMD EPYC, Zen 3"]
    assert processor.runs.to_dict() == {"BN": 20, "LRN": 20}
    assert processor["same seed"].to_dict() == pytest.approx({"LRN": 7.3, "BN": 2.7}, abs=0.05)
    assert processor["two seeds"].to_dict() == pytest.approx({"LRN": 7.2, "BN": 2.8}, abs=0.05)
    assert found.loc["NVIDIA H200"].runs.sum() == 25


def test_other_images_have_no_twins_elsewhere() -> None:
    assert aux_heads.elsewhere(study.study("v1.aux", dataset="digits")).empty
    assert aux_heads.elsewhere(study.study("v1.aux", epochs=3)).empty
