import json
from dataclasses import fields

import numpy as np
import pytest

from dr_backend.parameters import PARAMETERS
from dr_backend.scene import (
    Camera,
    Light,
    Material,
    Mesh,
    Scene,
    World,
    from_structure,
    leaf_path,
    leaves,
    split_path,
    structure,
    with_leaves,
)
from dr_backend.scene.leaves import GROUPS

NAMES = ["Cube", "a/b", "100%", "%2F", "a%2Fb", "../../etc", "", " ", "Müller.001", "日本", "\\", "a\nb", "cameras/x"]


def _scene() -> Scene:
    eye = np.eye(4)
    mesh = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), eye, uvs=np.zeros((1, 3, 2)), materials=("Skin/1",))
    return Scene(
        cameras={"Front/Left": Camera(eye, np.array([50.0, 50.0]), np.array([4.0, 3.0]), (8, 6))},
        meshes={"100% Head": mesh, "Bare": Mesh(np.ones((3, 3)), np.array([[0, 1, 2]], np.int32), eye)},
        materials={"Skin/1": Material(np.ones(3), np.zeros((2, 2, 3)), extension="extend")},
        lights={"Sun": Light(eye, np.ones(3), np.array(3.0), kind="sun")},
        world=World(np.ones(3)),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("group", GROUPS)
def test_a_path_gives_its_name_back(group, name):
    path = leaf_path(group, name, "field")
    assert path.count("/") == 2
    assert split_path(path) == (group, name, "field")


def test_different_names_have_different_paths():
    assert len({leaf_path("meshes", name, "positions") for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("path", ["", "meshes", "meshes/Cube", "teapots/Cube/positions", "meshes/a/b/positions", "world/a/b"])
def test_other_strings_are_refused(path):
    with pytest.raises(KeyError):
        split_path(path)


def test_leaves_and_structure_rebuild_the_scene():
    scene = _scene()
    values = leaves(scene)
    assert {"cameras/Front%2FLeft/focal_px", "meshes/100%25 Head/uvs", "lights/Sun/power", "world/radiance"} <= set(values)
    assert "meshes/Bare/uvs" not in values
    again = from_structure(json.loads(json.dumps(structure(scene))), values)
    assert structure(again) == structure(scene)
    assert leaves(again).keys() == values.keys()
    assert all(leaves(again)[path] is values[path] for path in values)
    assert again.cameras["Front/Left"].size == (8, 6)
    assert again.meshes["100% Head"].materials == ("Skin/1",)


def test_an_unlit_scene_stays_unlit():
    scene = Scene(meshes=_scene().meshes)
    assert scene.unlit
    assert not _scene().unlit
    assert from_structure(json.loads(json.dumps(structure(scene))), leaves(scene)).unlit


def test_replacing_leaves_shares_the_rest():
    scene = _scene()
    moved = np.full((3, 3), 2.0)
    changed = with_leaves(scene, {"meshes/Bare/positions": moved, "world/radiance": np.zeros(3)})
    assert changed.meshes["Bare"].positions is moved
    assert scene.meshes["Bare"].positions is not moved
    assert changed.meshes["100% Head"] is scene.meshes["100% Head"]
    assert changed.meshes["Bare"].faces is scene.meshes["Bare"].faces
    assert not changed.world.radiance.any()


@pytest.mark.parametrize("path", ["meshes/Nobody/positions", "meshes/Cube", "world/radiance"])
def test_replacing_what_is_not_there(path):
    with pytest.raises(KeyError):
        with_leaves(Scene(meshes=_scene().meshes), {path: np.zeros(3)})


def test_a_missing_leaf_is_named():
    values = leaves(_scene())
    del values["meshes/Bare/positions"]
    with pytest.raises(KeyError, match="Bare"):
        from_structure(structure(_scene()), values)


def test_every_parameter_names_a_field_of_the_scene():
    for parameter in PARAMETERS:
        assert parameter.field in {f.name for f in fields(GROUPS[parameter.group])}
