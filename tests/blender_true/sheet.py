"""The document: a table of what was measured, and a contact sheet per group."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from blender_addon.exchange.images import to_srgb

from .compare import Outcome
from .fixture import Fixture

ROOT = Path(__file__).resolve().parents[2]
TILE, GAP, CAPTION, ACROSS = 112, 3, 14, 2
GAIN = 8  # by which differences are enlarged


def _tile(rgb: np.ndarray) -> Image.Image:
    """Linear colours (H, W, 3) as a thumbnail on grey."""
    picture = Image.fromarray((to_srgb(rgb) * 255 + 0.5).astype(np.uint8))
    picture.thumbnail((TILE, TILE), Image.Resampling.BOX)
    tile = Image.new("RGB", (TILE, TILE), (40, 40, 40))
    tile.paste(picture, ((TILE - picture.width) // 2, (TILE - picture.height) // 2))
    return tile


def _strip(fixture: Fixture, outcome: Outcome) -> Image.Image:
    """Ours, Cycles' and their difference beside each other, under the fixture's name."""
    grey = 0.05
    pictures = [p[..., :3] + (1 - p[..., 3:]) * grey for p in (outcome.ours, outcome.cycles)]
    pictures.append(np.clip(GAIN * np.abs(np.clip(outcome.ours[..., :3], 0, 1) - np.clip(outcome.cycles[..., :3], 0, 1)), 0, 1))
    strip = Image.new("RGB", (3 * TILE + 2 * GAP, TILE + CAPTION), (20, 20, 20))
    for index, picture in enumerate(pictures):
        strip.paste(_tile(picture), (index * (TILE + GAP), CAPTION))
    ImageDraw.Draw(strip).text((2, 1), f"{fixture.name}: {_figure(fixture, outcome)}", fill=(230, 230, 230))
    return strip


def _figure(fixture: Fixture, outcome: Outcome) -> str:
    if fixture.gate.psnr is not None:
        return f"{outcome.psnr:.1f} dB"
    return f"IoU {outcome.iou:.4f}, edge {outcome.edge_px:.3f} px"


def contact_sheet(chosen: list[Fixture], outcomes: dict[str, Outcome]) -> Image.Image:
    """All strips of a group, two across."""
    strips = [_strip(f, outcomes[f.path]) for f in chosen]
    width, height = strips[0].size
    rows = -(-len(strips) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * (width + 4 * GAP), rows * (height + 2 * GAP)), (20, 20, 20))
    for index, strip in enumerate(strips):
        sheet.paste(strip, ((index % ACROSS) * (width + 4 * GAP), (index // ACROSS) * (height + 2 * GAP)))
    return sheet


def _section(group: str, chosen: list[Fixture], outcomes: dict[str, Outcome]) -> list[str]:
    lines = [f"## {group.capitalize()}", "", "| Fixture | gate | measured | |", "|---|---|---|---|"]
    for fixture in chosen:
        outcome = outcomes[fixture.path]
        verdict = "reached" if outcome.passes(fixture.gate) else f"**missed**: {fixture.missed or 'not explained'}"
        lines.append(f"| {fixture.name} | {fixture.gate} | {_figure(fixture, outcome)} | {verdict} |")
    return [*lines, "", f"![{group}: ours, Cycles, difference](pictures/blender_true/{group}.jpg)", ""]


def write_document(chosen: list[Fixture], outcomes: dict[str, Outcome], *, whole: bool) -> None:
    """Contact sheets and, with ``whole``, the page around them; without, the sheets go to the system's temporary folder."""
    folder = (ROOT / "docs" / "pictures" if whole else Path(tempfile.gettempdir())) / "blender_true"
    folder.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[Fixture]] = {}
    for fixture in chosen:
        groups.setdefault(fixture.group, []).append(fixture)
    for group, members in groups.items():
        contact_sheet(members, outcomes).save(folder / f"{group}.jpg", quality=80)
    if whole:
        reached = sum(outcomes[f.path].passes(f.gate) for f in chosen)
        page = [*INTRODUCTION.format(count=len(chosen), reached=reached, gain=GAIN).splitlines(), ""]
        for group, members in groups.items():
            page += _section(group, members, outcomes)
        (ROOT / "docs" / "blender_true.md").write_text("\n".join(page).rstrip() + "\n", "utf-8")


INTRODUCTION = """# What we render is what Blender renders

Each fixture is a small scene built by a script in Blender, read by the add-on as any scene, and rendered twice: by our reference renderer
and by Cycles (direct light only, a box filter one pixel wide). PSNR is on linear values clipped to 1, over the whole picture; outlines
are compared as coverage: the overlap of the masks at one half, and the mean distance between the outlines. {reached} of {count} gates are
reached.

`python -m tests.blender_true` writes this page in Blender 4.5; `pytest tests/blender_true` holds the gates. The pictures show ours,
Cycles' and their difference times {gain}.

## In other Blenders

The same scenes, built, read and rendered by other Blenders, reach the same gates:

| Blender | Python | how | reached |
|---|---|---|---|
| 4.3.2, the full program | 3.13 | `python3.11 dev.py blender --fixtures trixie` | 208 of 208 |
| 5.2.2 LTS, the full program | 3.14 | `python3.11 dev.py blender --fixtures sid` | 208 of 208 |
| 5.2.3 LTS as a package | 3.13 | the three lines below | 196 of 196, the 12 added later, the add-on's own tests |

```sh
python3.13 -m venv blender52
blender52/bin/python -m pip install --editable ".[native,blender,build,test]"
blender52/bin/python -m pytest tests/blender tests/blender_true
```

## What differs

- **Noise of Cycles.** The fixtures take few samples, so that the suite stays short. The lowest figure, metal and chalk under an image
  sky, is 36.5 dB with 48 samples a pixel and 40.9 dB with 400 (what stays is the sun's reflection in the metal, see the next point); an
  image sky with a sun 38.2 dB with 96 and 43.3 dB with 600. Layers under the world 38.4 dB with 48 and 42.2 dB with 600.
- **A sun in an image sky.** Matte surfaces see the sky as 256 directions, each where the light of its part of the sky is; so the sun of an
  image has a hard shadow here and a slightly soft one in Cycles. Glossy surfaces look in 24 directions into reduced copies of the image; so
  the sun's reflection is a little wider here, and where something stands between a glossy ground and a sun that it mirrors toward the
  camera, the shadow in that reflection is 24 faint ones: 26 dB in the worst scene that we made. A sun lamp instead has no such fault.
- **Lamps of a size** are a few dozen points here. It shows most under an area lamp of narrow spread, whose light has a rim.
- **Lens distortion** is unknown to Cycles: for those fixtures it renders a wider and four times finer picture, which is then bent by the
  formula of Blender's tracker.
- **Smooth beside flat faces.** Up to Blender 4.5 Cycles takes the mean over all faces around a vertex unless an edge is sharp; Blender 5
  parts smooth from flat faces. We do as the Blender does that we run in.
- **Loose ends.** Up to Blender 4.5 Cycles takes nothing from a reroute that leads nowhere, or from a muted node to which nothing is linked;
  in Blender 5 the input's own value counts then. Again we do as the Blender does.
- **See-through surfaces** are looked through eight layers deep, which is what Cycles does unless it is told otherwise, and light passes
  eight of them. Where a Math node clips alpha, the edge is as sharp as the samples in a pixel. Transparent Shadows of a material count as
  on.
- **Groups of nodes** are looked through, for the shader and for what feeds it. A fit paints a base colour that is an input of the group;
  one that is set inside of it is refused with what to do, for the group may be used elsewhere too.
- **Textures and skies made of nodes** are baked or rendered to an image first, which a warning says: 512 × 512 texels on the UV map of the
  base colour, 1024 × 512 for a sky. A sky that asks by a Light Path node who looks at it is not, and its Background's own values are used.
- **Not compared, because it is not carried:** bounced light, depth of field, subsurface, transmission, coat, sheen, anisotropy, bump,
  displacement, volumes, instances, light linking, ray visibility, light of glowing meshes, nodes on lamps beyond an Emission node. All but
  the first two are named in a warning when a scene is read.

## Through every renderer

The figures below are the reference renderer's. The native one cannot be told from it: all {count} scenes reach the same gates, and its
pictures are 80 dB and more from the reference's. PyTorch3D, made as hard as its rounding allows, shades alike too, but it
has no alpha and blends no outlines, so it needs more samples in a pixel for the same edge. `tests/blender_true/test_renderers.py` holds
both to this."""
