from importlib.util import find_spec

import pytest

from dr_backend.renderers import table
from dr_backend.renderers.table import RENDERERS, available, choose, make


@pytest.fixture
def made(monkeypatch):
    """Names and devices of the renderers that are asked for; none is really made."""
    asked = []
    for name in list(RENDERERS):
        monkeypatch.setitem(RENDERERS, name, lambda device, threads, name=name: asked.append((name, device)))
    return asked


def pretend(monkeypatch, **missing):
    """Lets renderers be missing, each with a reason."""
    monkeypatch.setattr(table, "available", lambda: {name: missing.get(name) for name in RENDERERS})


@pytest.mark.parametrize(
    ("device", "coarse", "missing", "taken", "words"),
    [
        ("cpu", False, {}, "native", "fastest"),
        ("cpu", True, {}, "native", "fastest"),
        ("cpu", True, {"native": "Warp is not installed."}, "reference", "Warp is not installed"),
        ("cuda", True, {}, "pytorch3d", "attract"),
        ("cuda", True, {"pytorch3d": "PyTorch3D is not installed."}, "native", "fastest"),
        ("cuda", False, {}, "native", "fastest"),
    ],
)
def test_auto_takes_the_best_there_is_and_says_why(monkeypatch, made, device, coarse, missing, taken, words):
    pretend(monkeypatch, **missing)
    _, reason = choose("auto", device, coarse=coarse)
    assert made == [(taken, device)]
    assert words in reason


def test_scenes_that_are_see_through_get_no_renderer_that_sees_through_nothing(monkeypatch, made):
    pretend(monkeypatch)
    choose("auto", "cuda", coarse=True, see_through=True)
    assert made == [("native", "cuda")]
    with pytest.raises(ValueError, match="sees through nothing"):
        choose("pytorch3d", "cuda", see_through=True)


def test_every_renderer_can_be_made_or_says_why_not():
    for name, reason in available().items():
        if reason is None:
            assert make(name, "cpu").capabilities.name == name
        else:
            assert reason.endswith(".")
    assert available()["reference"] is None
    assert (available()["pytorch3d"] is None) == (find_spec("pytorch3d") is not None)
    assert (available()["native"] is None) == (find_spec("warp") is not None)


def test_unknown_and_missing_renderers_are_refused_in_sentences(monkeypatch):
    with pytest.raises(ValueError, match="Choose one of: auto, native, reference"):
        make("nvdiffrast", "cpu")
    monkeypatch.setattr("dr_backend.renderers.table.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="PyTorch3D is not installed"):
        choose("pytorch3d", "cpu")


def test_without_warp_the_reference_renderer_is_taken(monkeypatch):
    table._warp.cache_clear()
    monkeypatch.setattr("dr_backend.renderers.table.find_spec", lambda name: None)
    renderer, reason = choose("auto", "cpu")
    table._warp.cache_clear()
    assert renderer.capabilities.name == "reference"
    assert "Warp is not installed" in reason
