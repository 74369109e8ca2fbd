"""Binds a job's scene, photos and settings to a renderer, leaves and stages; refuses what cannot be fitted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry.flatten import FlatScene, flatten, to_tensors
from .geometry.topology import Topology, prepare
from .job import FitSettings, JobError
from .language import told
from .parameterizations import LargeSteps, Parameterization, Pyramid
from .parameters import BASE_COLOR_IMAGE, PARAMETERS, POSITIONS, Parameter
from .photos import Target, make_target
from .renderers.base import Renderer
from .renderers.table import choose
from .scene import Light, Photo, Scene, leaf_path, leaves, split_path, with_leaves
from .shading.baking import for_steps, lost_in_steps
from .shading.opacity import see_through_faces
from .shading.visibility import NO_SHADOWS
from .stages import Stage, plan_stages
from .texture_size import texture_sides

MEMORY_SHARE = 0.7  # of what is free; the rest is for the optimizer and everybody else
TEXEL_BYTES = 256  # of a painted image, as measured: its levels and their gradients, moments, the best so far
ROUGHER = 1.4  # images may be than photos where the shape moves too: the stage after it paints what is fine
FEW_VERTICES = 2000  # a default sphere of Blender has 482 and becomes a lump
VERTEX_BYTES = 4500  # of a mesh that moves, as measured at a million vertices: most of it for the factors of its Laplacian


@dataclass
class Problem:
    """A fit that can run: everything on its device, nothing decided later."""

    scene: Scene  # tensors
    topology: Topology
    photos: list[Photo]  # the fitted ones
    settings: FitSettings
    stages: list[Stage]
    device: str
    choose_renderer: Callable[[Stage], tuple[Renderer, str]]
    lamps: tuple[Light, ...] = ()  # with their sizes, for shadows
    warnings: list[str] = field(default_factory=list)

    def flat(self, *, color: bool = True, before: FlatScene | None = None) -> FlatScene:
        """What a renderer sees of the scene now; outlines alone, without ``color``, need no light. ``before``: see ``flatten``."""
        scene = self.scene if color else replace(self.scene, lights={}, world=None)
        return flatten(scene, self.device, self.topology, before=before)

    def moving(self, stage: Stage) -> list[tuple[str, Parameter]]:
        """Leaves that move in this stage, with their parameter."""
        active = {POSITIONS.key: stage.geometry, BASE_COLOR_IMAGE.key: stage.texture}
        found = []
        for path in leaves(self.scene):
            group, owner, name = split_path(path)
            if group == "meshes" and self.scene.meshes[owner].shape_of:
                continue  # moves with the mesh that it is a copy of
            found += [
                (path, p) for p in PARAMETERS if (p.group, p.field) == (group, name) and active[p.key] and getattr(self.settings, p.key)
            ]
        return found

    def parameterization(self, path: str, parameter: Parameter, value: Tensor, stage: Stage) -> Parameterization:
        """The map between this leaf and its latents."""
        _, name, _ = split_path(path)
        if parameter.parameterization == "pyramid":
            return Pyramid(*value.shape[:2], self._shrink(name, value, stage))
        return LargeSteps(self.scene.meshes[name].faces, len(value), stage.smoothing)

    def _shrink(self, material: str, image: Tensor, stage: Stage) -> int:
        """How many texels an image may have for each of its value, along a side: those of full-size photos are too fine for small ones."""
        if self.scene.materials[material].base_color_weights is not None:
            return 1
        fine = max(max(self.scene.cameras[photo.camera].size) for photo in self.photos) / stage.max_side
        if stage.geometry:
            fine *= ROUGHER
        shrink = 1
        while 2 * shrink <= fine and all(side % (2 * shrink) == 0 and side > 64 * shrink for side in image.shape[:2]):
            shrink *= 2
        return shrink

    def rate(self, parameter: Parameter, value: Tensor) -> float:
        """Step size in latent units: of the bounding sphere for positions, as it is for the others."""
        if parameter is not POSITIONS:
            return parameter.rate
        return parameter.rate * float((value - value.mean(0)).norm(dim=1).max())

    def target(self, stage: Stage, photo: Photo) -> Target:
        """A photo at this stage's size."""
        return make_target(photo, self.scene.cameras[photo.camera], stage.max_side, self.device)

    def views_per_step(self, stage: Stage, renderer: Renderer, targets: list[Target]) -> int:
        """As many photos a step as the stage wants and memory allows.

        Raises:
            JobError: Not even one fits.
        """
        flat = self.flat()
        free = _free_bytes(self.device)
        largest = max(targets, key=lambda t: t.camera.size[0] * t.camera.size[1]).camera
        for count in range(min(stage.views, len(targets)), 0, -1):
            need = renderer.plan(flat, [largest] * count)
            if need <= MEMORY_SHARE * free:
                return count
        raise JobError(
            "out_of_memory",
            told(
                "One photo needs {need:.1f} GiB in stage '{stage}', {free:.1f} GiB are free",
                need=need / 2**30,
                stage=told(stage.name),
                free=free / 2**30,
            ),
            told("Choose a lower quality, or close other programs"),
        )


def _check(scene: Scene, photos: list[Photo], settings: FitSettings) -> list[Photo]:
    """The photos to fit, if there is anything to fit with them."""
    if not scene.meshes:
        raise JobError("bad_job", told("There is no mesh to fit"), told("Select a mesh"))
    fitted = [p for p in photos if not p.held_out]
    if not fitted:
        raise JobError("bad_job", told("There is no photo to fit"), told("Give at least one camera a photo that is not held out"))
    for photo in photos:
        camera = scene.cameras.get(photo.camera)
        if camera is None:
            raise JobError("bad_job", told("Photo of camera '{camera}' has no camera", camera=photo.camera), told("Run Fit to Photo again"))
        if tuple(photo.rgb.shape[:2]) != (camera.size[1], camera.size[0]):
            raise JobError(
                "bad_job", told("Camera '{camera}' and its photo differ in size", camera=photo.camera), told("Run Fit to Photo again")
            )
    for path, value in leaves(scene).items():
        if value.dtype.kind == "f" and not bool((abs(value) < float("inf")).all()):
            raise JobError(
                "bad_job", told("'{path}' holds a number that is not finite", path=path), told("Repair the object and try again")
            )
    for name, mesh in scene.meshes.items():
        if len(mesh.faces) == 0:
            raise JobError("bad_job", told("Mesh '{name}' has no faces", name=name), told("Choose a mesh with faces"))
        if settings.texture and mesh.uvs is None:
            raise JobError("bad_job", told("Mesh '{name}' has no UV map to paint on", name=name), told("Unwrap it, or turn Texture off"))
    return fitted


def _free_bytes(device: str) -> int:
    return int(torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available)


def _check_memory(scene: Scene, sides: dict[str, int], settings: FitSettings, free: int) -> None:
    """Makes sure that the leaves that move find room, renderers aside.

    Raises:
        JobError: They do not, with what takes most of it.
    """
    texels = sum(side**2 for side in sides.values())
    vertices = sum(len(mesh.positions) for mesh in scene.meshes.values() if settings.geometry and not mesh.shape_of)
    need = texels * TEXEL_BYTES + vertices * VERTEX_BYTES
    if need <= MEMORY_SHARE * free:
        return
    if texels * TEXEL_BYTES > vertices * VERTEX_BYTES:
        what = told("Textures of {size} pixels a side", size=max(sides.values()))
        hint = told("Choose a smaller Texture Size, or close other programs")
    else:
        what = told("Meshes of {count:,} vertices", count=vertices)
        hint = told("Fit a copy with fewer, made with a Decimate modifier, or close other programs")
    message = told("{what} need {need:.1f} GiB, {free:.1f} GiB are free", what=what, need=need / 2**30, free=free / 2**30)
    raise JobError("out_of_memory", message, hint)


def _with_sized_textures(scene: Scene, sides: dict[str, int], settings: FitSettings) -> Scene:
    """The scene with each painted image enlarged to what the photos can tell."""
    images = {}
    for name, side in sides.items():
        image = scene.materials[name].base_color_image
        size = (max(side, image.shape[0]), max(side, image.shape[1])) if settings.texture_size == 0 else (side, side)
        resized = F.interpolate(image.permute(2, 0, 1)[None], size=size, mode="bilinear", antialias=True, align_corners=False)
        images[leaf_path("materials", name, "base_color_image")] = resized[0].permute(1, 2, 0).contiguous()
    return with_leaves(scene, images)


def make_problem(scene: Scene, photos: list[Photo], settings: FitSettings) -> Problem:
    """The problem that a job describes.

    Args:
        scene: NumPy leaves, as a job folder holds them.
        photos: NumPy images; those held out are checked and set aside.
        settings: What to fit and how.

    Raises:
        JobError: The job cannot be fitted, with a sentence for the artist.
    """
    fitted = _check(scene, photos, settings)
    device = settings.device if settings.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise JobError("no_device", told("No CUDA graphics card was found"), told("Set Device to Auto or CPU"))
    scene = to_tensors(scene, device)
    try:
        topology = prepare(scene, device)
    except ValueError as error:
        raise JobError("bad_job", str(error)) from error
    sides = {}
    if settings.texture:
        sides = texture_sides(scene, flatten(scene, device, topology), [p.camera for p in fitted], settings.texture_size)
    _check_memory(scene, sides, settings, _free_bytes(device))
    scene = _with_sized_textures(scene, sides, settings)
    flat = flatten(scene, device, topology)
    lamps, see_through = flat.lights, see_through_faces(flat) is not None
    warnings = [lost] if (lost := lost_in_steps(scene)) else []
    scene = for_steps(scene)
    unmasked = [p.camera for p in fitted if p.mask is None]
    if settings.geometry and len(unmasked) == len(fitted):
        warnings.append(told("No photo has a mask, so its background is taken for a part of the object: add masks, or turn Geometry off"))
    elif unmasked and settings.geometry:
        warnings.append(told("{names}: no mask, so the outline is not compared, only the colours", names=", ".join(unmasked)))
    vertices = sum(len(mesh.positions) for mesh in scene.meshes.values())
    if settings.geometry and vertices < FEW_VERTICES:
        few = told("{count} vertices are few to take on a shape: subdivide the mesh, for details need ten thousand or more", count=vertices)
        warnings.append(few)
    if NO_SHADOWS and (scene.world is not None or any(light.casts_shadow for light in scene.lights.values())):
        warnings.append(NO_SHADOWS)
    masks = len(unmasked) < len(fitted)

    def choose_renderer(stage: Stage) -> tuple[Renderer, str]:
        try:
            return choose(settings.renderer, device, coarse=stage.coarse, see_through=see_through)
        except ValueError as error:
            raise JobError("no_renderer", str(error), told("Set Renderer to Auto, or press Check Setup")) from error

    return Problem(scene, topology, fitted, settings, plan_stages(settings, masks=masks), device, choose_renderer, lamps, warnings)


def moved(problem: Problem, values: dict[str, Tensor]) -> Problem:
    """The same problem with some leaves replaced."""
    return replace(problem, scene=with_leaves(problem.scene, values))
