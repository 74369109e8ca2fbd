from importlib.util import find_spec

import pytest

from dr_backend.renderers.table import RENDERERS, available, choose, make


def test_auto_takes_the_reference_renderer_on_a_processor_and_says_why():
    renderer, reason = choose("auto", "cpu")
    assert renderer.capabilities.name == "reference"
    assert "processor" in reason


def test_auto_takes_pytorch3d_on_a_gpu_where_it_is_installed(monkeypatch):
    made = []
    for name in list(RENDERERS):
        monkeypatch.setitem(RENDERERS, name, lambda device, name=name: made.append((name, device)))
    monkeypatch.setattr("dr_backend.renderers.table.find_spec", lambda name: object())
    _, reason = choose("auto", "cuda")
    assert made == [("pytorch3d", "cuda")]
    assert "GPU" in reason
    monkeypatch.setattr("dr_backend.renderers.table.find_spec", lambda name: None)
    _, reason = choose("auto", "cuda")
    assert made[-1] == ("reference", "cuda")
    assert "not installed" in reason


def test_every_renderer_can_be_made_or_says_why_not():
    for name, reason in available().items():
        if reason is None:
            assert make(name, "cpu").capabilities.name == name
        else:
            assert reason.endswith(".")
    assert available()["reference"] is None
    assert (available()["pytorch3d"] is None) == (find_spec("pytorch3d") is not None)


def test_unknown_and_missing_renderers_are_refused_in_sentences(monkeypatch):
    with pytest.raises(ValueError, match="Choose one of: auto, reference"):
        make("nvdiffrast", "cpu")
    monkeypatch.setattr("dr_backend.renderers.table.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="PyTorch3D is not installed"):
        choose("pytorch3d", "cpu")
