"""Settings kept in the .blend: on the scene what and how to fit, on each camera whether its photo is held out."""

import bpy

from dr_backend.job import FitSettings
from dr_backend.parameters import PARAMETERS

from .exchange.result import read_strength, read_texture_mix, show_before, shows_before, write_strength, write_texture_mix
from .photo_list import photo_index, show_photo
from .redraw import redraw_views

_QUALITIES = (
    ("draft", "Draft", "Small images and few steps: seconds to a minute, to see whether cameras and masks agree"),
    ("standard", "Standard", "For most photos and meshes"),
    ("high", "High", "Large images and many steps: fine texture and shape, several times slower"),
)
_RENDERERS = (
    ("auto", "Auto", "The best renderer that works on this machine; the panel says which one ran and why"),
    ("native", "Native", "Exact sharp edges, the fastest; needs Warp in the backend"),
    ("reference", "Reference", "Exact sharp edges; needs nothing but the backend and works everywhere"),
    ("pytorch3d", "PyTorch3D", "Soft edges with a long reach, for graphics cards; must be installed in the backend"),
)
RENDERER_NAMES = tuple(name for name, _, _ in _RENDERERS)
_DEVICES = (
    ("auto", "Auto", "The graphics card if it can be used, else the processor"),
    ("cpu", "CPU", "Works everywhere"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
)
LABELS = {name: label for name, label, _ in (*_RENDERERS, *_DEVICES)}
_VIEWS = (
    ("NONE", "Viewport", "The 3D view as it is"),
    ("PHOTO", "Photo", "The photo over the 3D view"),
    ("RENDER", "Render", "Blender's own render of this camera over the 3D view"),
    ("DIFFERENCE", "Difference", "How far render and photo are apart, four times as bright; black where they agree"),
    ("ERROR", "Error Map", "Where render and photo disagree, as a heat map: nothing where they agree, yellow where they are far apart"),
)
_DEFAULTS = FitSettings()


def _fit_fields() -> dict[str, object]:
    """What and how to fit, by name; the switches follow from the table of parameters."""
    switches: dict[str, object] = {
        p.key: bpy.props.BoolProperty(name=p.label, description=p.help, default=getattr(_DEFAULTS, p.key)) for p in PARAMETERS
    }
    return switches | {
        "quality": bpy.props.EnumProperty(
            name="Quality", description="Size of the images and number of steps", items=_QUALITIES, default=_DEFAULTS.quality
        ),
        "renderer": bpy.props.EnumProperty(
            name="Renderer", description="What turns the scene into images during the fit", items=_RENDERERS, default=_DEFAULTS.renderer
        ),
        "device": bpy.props.EnumProperty(name="Device", description="Where the fit computes", items=_DEVICES, default=_DEFAULTS.device),
        "seed": bpy.props.IntProperty(
            name="Seed", description="Order of the photos; the same seed gives the same fit", min=0, default=_DEFAULTS.seed
        ),
        "texture_size": bpy.props.IntProperty(
            name="Texture Size",
            description="Side of the painted image in pixels; 0 takes it from the photos",
            min=0,
            max=8192,
            default=_DEFAULTS.texture_size,
            subtype="PIXEL",
        ),
        "stiffness": bpy.props.FloatProperty(
            name="Stiffness",
            description="How strongly neighbouring vertices move together; 1 suits most meshes",
            min=0.05,
            max=20,
            soft_min=0.2,
            soft_max=5,
            default=_DEFAULTS.stiffness,
        ),
        "render_report": bpy.props.BoolProperty(
            name="Render Report",
            description="Render every camera with Blender before and after the fit, and compare both with its photo",
            default=True,
        ),
    }


def _result_fields() -> dict[str, object]:
    """What the panel shows of photos and results, by name; most of it is kept where it acts, not here."""
    return {
        "photo_index": bpy.props.IntProperty(
            name="Photo",
            description="The photo that is looked at, by its camera's place among the scene's objects",
            get=lambda settings: photo_index(settings.id_data),  # type: ignore[arg-type]  # a scene, for these are its settings
            set=lambda settings, index: show_photo(settings.id_data, index),  # type: ignore[arg-type]
            options={"HIDDEN"},
        ),
        "strength": bpy.props.FloatProperty(
            name="Strength",
            description="How far the fitted meshes are on the way from their old shape to the fitted one",
            min=0,
            max=1,
            subtype="FACTOR",
            get=lambda settings: read_strength(settings.id_data) or 0.0,  # type: ignore[arg-type]
            set=lambda settings, strength: write_strength(settings.id_data, strength),  # type: ignore[arg-type]
        ),
        "texture_mix": bpy.props.FloatProperty(
            name="Texture Mix",
            description="How much of the painted texture shows over what was there before",
            min=0,
            max=1,
            subtype="FACTOR",
            get=lambda settings: read_texture_mix(settings.id_data) or 0.0,  # type: ignore[arg-type]
            set=lambda settings, share: write_texture_mix(settings.id_data, share),  # type: ignore[arg-type]
        ),
        "show_before": bpy.props.BoolProperty(
            name="Show Before",
            description="Show meshes and materials as they were before the fit, to compare",
            get=lambda settings: shows_before(settings.id_data),  # type: ignore[arg-type]
            set=lambda settings, before: show_before(settings.id_data, before),  # type: ignore[arg-type]
        ),
        "last_report": bpy.props.StringProperty(name="Last Report", description="Result of the last fit, as JSON", options={"HIDDEN"}),
    }


class FITTOPHOTO_PG_scene(bpy.types.PropertyGroup):
    """``scene.fit_to_photo``."""

    __annotations__ = _fit_fields() | _result_fields()


class FITTOPHOTO_PG_window(bpy.types.PropertyGroup):
    """``window_manager.fit_to_photo``: what is shown but never saved."""

    view: bpy.props.EnumProperty(
        name="View",
        description="What the 3D view shows while one looks through a camera",
        items=_VIEWS,
        update=lambda settings, context: redraw_views(),
    )


class FITTOPHOTO_PG_object(bpy.types.PropertyGroup):
    """``object.fit_to_photo``, used on cameras."""

    include: bpy.props.BoolProperty(
        name="Include", description="Let this camera's photo take part in fits", default=True, options=set()
    )
    held_out: bpy.props.BoolProperty(
        name="Hold Out", description="Compare this photo in the report but do not fit it", default=False, options=set()
    )


def fit_settings(scene: bpy.types.Scene) -> FitSettings:
    """The settings of a scene as they travel to the worker.

    Raises:
        ValueError: Nothing to fit is chosen, in words for the artist.
    """
    stored = scene.fit_to_photo
    names = [p.key for p in PARAMETERS] + ["quality", "renderer", "device", "seed", "texture_size", "stiffness"]
    values = {name: getattr(stored, name) for name in names}
    # Blender stores floats in 32 bits: 0.05 comes back a hair below its own minimum
    values["stiffness"] = round(values["stiffness"], 5)
    return FitSettings(**values)
