"""The scene that both programs share: plain frozen dataclasses, NumPy arrays in Blender, tensors in the worker.

Every array field is a *leaf* with a path such as ``meshes/Head/positions`` (see ``leaves.py``); every other field is
structure and cannot be fitted. World space is Blender's (Z up), camera space too (x right, y up, looking along -z).
Images are (H, W, K), row 0 at the top; pixel (column i, row j) has its centre at (i + 0.5, j + 0.5). Colours are linear Rec.709.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Array = Any  # numpy.ndarray in Blender, torch.Tensor in the worker: this room imports neither

Projection = Literal["perspective", "orthographic"]
LightKind = Literal["point", "sun", "spot", "area"]
Extension = Literal["repeat", "extend", "clip", "mirror"]
Interpolation = Literal["linear", "closest"]


@dataclass(frozen=True)
class Camera:
    """A pinhole or orthographic camera in pixel units of its photo.

    A point (X, Y, Z) in camera space lands on ``x = centre_px[0] + focal_px[0] * X / -Z``,
    ``y = centre_px[1] - focal_px[1] * Y / -Z``; an orthographic camera has no division and ``focal_px`` is pixels per world unit.
    From there the lens moves it, if it has any distortion (see ``lens.py``).
    """

    camera_from_world: Array  # (4, 4) rigid: no scale
    focal_px: Array  # (2,)
    centre_px: Array  # (2,)
    size: tuple[int, int]  # width, height in pixels
    projection: Projection = "perspective"
    near: float = 0.01  # clip distance in world units
    exposure: Array | None = None  # () stops by which its photo is brighter than the scene; None: 0
    white_balance: Array | None = None  # (3,) factors of its photo's red, green and blue; None: 1
    distortion: Array | None = None  # (5,) k1, k2, k3, p1, p2 of the lens; None: it keeps lines straight
    distortion_focal_px: Array | None = None  # (2,) by which the lens was measured; None, as of the next: the camera's own
    distortion_centre_px: Array | None = None  # (2,)


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in its object's space.

    ``shape_of`` names another mesh whose positions this one shows at its own place, as linked copies in Blender do; its own are not read.
    """

    positions: Array  # (V, 3) float
    faces: Array  # (F, 3) int32, counter-clockwise seen from outside
    world_from_object: Array  # (4, 4), any affine: scale, shear and mirror allowed
    uvs: Array | None = None  # (F, 3, 2) per corner; (0, 0) is the image's lower left, as in Blender
    face_smooth: Array | None = None  # (F,) bool; None: all flat
    face_material: Array | None = None  # (F,) int32 index into ``materials``; None: all 0
    materials: tuple[str, ...] = ()  # keys of Scene.materials; empty: a white diffuse surface
    colors: Array | None = None  # (F, 3, 3) linear, per corner: the colour attribute that the faces' materials show
    normal_groups: Array | None = None  # (F, 3) int32: smooth corners of equal number share a normal; None: those of a vertex do
    tangents: Array | None = None  # (F, 3, 4) in object space with Blender's sign, constant: for materials with a normal image
    custom_normals: Array | None = None  # (F, 3, 3) in object space, set by hand: they do not follow the positions
    shape_of: str = ""
    casts_shadow: bool = True


@dataclass(frozen=True)
class Material:
    """A surface: matte, or with ``shader`` principled also glossy, metallic and glowing as Blender's Principled BSDF.

    Images replace the values of the same name, one channel for metallic, roughness and alpha. ``placements`` says for each of them
    (metallic, roughness, emission, normal, alpha) what extension, interpolation, encoded and uv_matrix say for the base colour.
    """

    base_color: Array  # (3,)
    base_color_image: Array | None = None  # (H, W, 3); replaces base_color where the mesh has UVs
    extension: Extension = "repeat"
    interpolation: Interpolation = "linear"
    encoded: bool = False  # texels are mixed as sRGB, as Cycles does with 8-bit images; the leaf stays linear
    color_attribute: bool = False  # the colours of the mesh replace base_color
    uv_matrix: Array | None = None  # (2, 3): from the mesh's UVs to the image's, as a Mapping node places it
    backface_culling: bool = False  # the inside of faces is not seen
    shader: Literal["diffuse", "principled"] = "diffuse"
    metallic: Array | None = None  # ()
    roughness: Array | None = None  # ()
    ior: Array | None = None  # ()
    specular: Array | None = None  # () Blender's Specular IOR Level: 0.5 leaves the reflection as the IOR says
    emission: Array | None = None  # (3,) radiance, strength included
    metallic_image: Array | None = None  # (H, W, 1)
    roughness_image: Array | None = None  # (H, W, 1)
    emission_image: Array | None = None  # (H, W, 3), strength included
    normal_image: Array | None = None  # (H, W, 3) in 0..1, in the tangent space of the UVs
    normal_strength: float = 1.0
    alpha: Array | None = None  # () share of what lies behind that the surface hides; None: all of it
    alpha_image: Array | None = None  # (H, W, 1)
    alpha_threshold: float | None = None  # the surface is whole where its alpha is greater, and not there elsewhere
    base_color_weights: Array | None = None  # (H, W, 1) by which texels of the base colour count, as where their image has alpha
    placements: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Light:
    """A lamp in Blender's units: watts for point, spot and area, W/m² for sun. It shines along its local -z.

    Without ``radius``, ``size`` or ``angle_rad`` it is a point, or a sun whose rays are parallel.
    """

    world_from_light: Array  # (4, 4) rigid: no scale
    color: Array  # (3,)
    power: Array  # ()
    kind: LightKind = "point"
    spot_angle_rad: float = 0.785398  # full cone angle
    spot_blend: float = 0.15
    radius: Array | None = None  # () of point and spot, in world units
    size: Array | None = None  # (2,) of area: width along its local x, height along its local y, in world units
    angle_rad: Array | None = None  # () of sun: its diameter in the sky
    shape: Literal["rectangle", "ellipse"] = "rectangle"  # of area
    spread_rad: float = 3.141593  # of area: full angle beyond which it sends nothing
    soft_falloff: bool = True  # point and spot: a disk that turns to every surface point, else a ball
    casts_shadow: bool = True


@dataclass(frozen=True)
class World:
    """Light from all around: one colour, an image, or spherical harmonics for light that is to be found. Radiance, strength included.

    ``harmonics`` are coefficients of the real spherical harmonics up to order 2 (see ``sphere.py``).
    """

    radiance: Array  # (3,); of an image its mean over the sphere
    image: Array | None = None  # (H, W, 3) equirectangular, replaces radiance
    strength: Array | None = None  # () by which the image is multiplied
    image_from_world: Array | None = None  # (3, 3) rotation of directions, as a Mapping node turns them
    harmonics: Array | None = None  # (9, 3), replaces radiance and image


@dataclass(frozen=True)
class Scene:
    """Everything a fit may read or move. Dictionaries are keyed by Blender object (or material) name.

    Without ``world`` and ``lights`` the scene is *unlit*: surfaces show their base colour, light stays in the texture.
    """

    cameras: dict[str, Camera] = field(default_factory=dict)
    meshes: dict[str, Mesh] = field(default_factory=dict)
    materials: dict[str, Material] = field(default_factory=dict)
    lights: dict[str, Light] = field(default_factory=dict)
    world: World | None = None

    @property
    def unlit(self) -> bool:
        """Whether light stays in the texture."""
        return not self.lights and self.world is None


@dataclass(frozen=True)
class Photo:
    """A photograph as a camera of the same name sees it."""

    camera: str
    rgb: Array  # (H, W, 3) linear
    mask: Array | None = None  # (H, W), 1 inside the object, fractions at its edge
    held_out: bool = False  # compared in the report, never fitted
