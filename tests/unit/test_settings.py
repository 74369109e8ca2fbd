import json

import pytest

from dr_backend.job import QUALITIES, FitSettings
from dr_backend.parameters import PARAMETERS


def test_round_trip():
    settings = FitSettings(geometry=False, quality="high", device="cpu", seed=7, texture_size=512, stiffness=2.5, renderer="reference")
    assert FitSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_a_job_by_hand_needs_only_what_differs():
    assert FitSettings.from_json({}) == FitSettings()
    assert FitSettings.from_json({"seed": 3, "from_the_future": True}) == FitSettings(seed=3)
    assert FitSettings.from_json({"stiffness": 2}).stiffness == 2.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"geometry": False, "texture": False}, "Nothing to fit"),
        ({"quality": "best"}, "Quality 'best' is unknown"),
        ({"device": "tpu"}, "Device 'tpu' is unknown"),
        ({"texture_size": -1}, "Texture size"),
        ({"texture_size": 8193}, "Texture size"),
        ({"stiffness": 0.0}, "Stiffness"),
        ({"stiffness": float("nan")}, "Stiffness"),
        ({"stiffness": 21.0}, "Stiffness"),
        ({"seed": "1"}, "should be a int"),
        ({"geometry": 1}, "should be a bool"),
        ({"seed": True}, "should be a int"),
        ({"quality": None}, "should be a str"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        FitSettings.from_json(wrong)


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_quality_is_accepted(quality):
    assert FitSettings(quality=quality).quality == quality


def test_every_parameter_has_its_switch():
    for parameter in PARAMETERS:
        assert isinstance(getattr(FitSettings(), parameter.key), bool)
    assert len({parameter.key for parameter in PARAMETERS}) == len(PARAMETERS)
