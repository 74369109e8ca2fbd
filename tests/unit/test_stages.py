"""The schedule of a fit."""

import pytest

pytest.importorskip("torch")

from dr_backend.job import LARGEST_PHOTO, QUALITIES, FitSettings  # noqa: E402
from dr_backend.stages import plan_stages  # noqa: E402


def test_no_stage_looks_at_more_than_photos_hold():
    sides = [stage.max_side for quality in QUALITIES for stage in plan_stages(FitSettings(quality=quality), masks=True)]
    assert max(sides) == LARGEST_PHOTO
