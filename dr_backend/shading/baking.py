"""Light for the many steps of a fit: lamps shine from a point, and what of their light reaches the surface is known at its vertices.

Rays for every pixel and every sample of a lamp are for a picture, not for each step toward one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry.flatten import FlatScene
from ..geometry.normals import corner_normals
from ..geometry.sky import directions_like
from ..language import told
from ..scene import Material, Scene
from .lamps import arriving
from .visibility import Points, shadows_of

RAYS = 2_000_000  # for the sky and for each lamp, all vertices together
SKY_RAYS = (8, 64)  # per vertex
VERTICES = 1 << 15  # at a time
SLIGHT, SMOOTH = 0.05, 0.4  # metallic, specular level or radiance that nobody sees; roughness below which highlights are narrow


def for_steps(scene: Scene) -> Scene:
    """The scene with point lamps and matte surfaces: light that costs a step next to nothing."""
    lights = {name: replace(light, radius=None, size=None, angle_rad=None) for name, light in scene.lights.items()}
    return replace(scene, lights=lights, materials={name: replace(m, shader="diffuse") for name, m in scene.materials.items()})


def lost_in_steps(scene: Scene) -> str:
    """A sentence that names the materials whose look ``for_steps`` changes beyond a faint sheen; empty where there are none.

    A metal is lit as a matte surface of its colour: under light from all around that sends back the same on average, while a surface
    darkened by its metallic would be black.
    """
    used = {name for mesh in scene.meshes.values() for name in mesh.materials}
    names = sorted(f"'{name}'" for name, material in scene.materials.items() if name in used and _shines(material))
    if scene.unlit or not names:
        return ""
    return told(
        "The fit sees {names} as matte: gloss, mirrored light and glow of a material end up in its texture and shape; "
        "Blender's renders in the report have them",
        names=", ".join(names),
    )


def _shines(material: Material) -> bool:
    """Whether the surface mirrors or glows more than Blender's Principled BSDF does by default."""
    if material.shader != "principled":
        return False
    metal = material.metallic_image is not None or (material.metallic is not None and float(material.metallic) > SLIGHT)
    mirrors = material.specular is None or float(material.specular) > SLIGHT
    smooth = material.roughness_image is not None or (material.roughness is not None and float(material.roughness) < SMOOTH)
    glow = material.emission_image is not None or (material.emission is not None and float(max(material.emission)) > SLIGHT)
    return metal or glow or (smooth and mirrors)


def _share(weight: Float[Tensor, "V S"], visible: Float[Tensor, "V S"]) -> Float[Tensor, " V"]:
    """Part of the light that arrives; 1 where none could."""
    whole = weight.sum(1)
    return torch.where(whole > 0, (weight * visible).sum(1) / whole.clamp_min(1e-30), 1.0)


@torch.no_grad()
def light_shares(scene: FlatScene) -> Float[Tensor, "V L"] | None:
    """Part of each lamp's light, and last of the sky's, that reaches each vertex of ``scene``; None where nothing casts a shadow.

    Lamps and sky are those of ``scene`` with their sizes: soft shadows stay soft.
    """
    shadows = shadows_of(scene)
    if shadows is None or scene.unlit:
        return None
    faces = scene.faces
    smooth = corner_normals(scene.positions, faces, torch.ones_like(scene.topology.face_smooth))
    normals = torch.zeros_like(scene.positions).index_copy(0, faces.reshape(-1), smooth.reshape(-1, 3))
    parts = []
    for positions, up in zip(scene.positions.split(VERTICES), normals.split(VERTICES), strict=True):
        points = Points(positions, up, up, torch.zeros_like(up))
        columns = []
        for lamp in scene.lights:
            light = arriving(lamp, positions)
            weight = light.irradiance * torch.einsum("vsk,vk->vs", light.toward, up).clamp_min(0.0)
            if not lamp.casts_shadow:
                columns.append(torch.ones_like(positions[:, 0]))
                continue
            columns.append(_share(weight, shadows.cast(scene, points, light.toward, light.distance)))
        every = directions_like(up)
        kept = min(max(RAYS // max(1, len(scene.positions)), SKY_RAYS[0]), SKY_RAYS[1])
        directions = every[:: len(every) // kept]
        far = torch.full_like(directions[None, :, 0], torch.inf)
        columns.append(_share((up @ directions.T).clamp_min(0.0), shadows.cast(scene, points, directions[None], far)))
        parts.append(torch.stack(columns, dim=1))
    return torch.cat(parts)
