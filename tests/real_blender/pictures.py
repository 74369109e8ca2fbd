"""Makes the pictures of Blender's window in ``docs/pictures`` from the screenshots of a tour: ``pictures.py [build/window/trixie]``.

``run.py`` takes the tour and leaves its screenshots there. Look at the pictures before they are committed.
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
EDITOR = (0, 28, 1320, 810)  # the 3D view with its headers and sidebar, in pixels of the screen: left, top, right, bottom
VIEW = (331, 88, 1320, 810)  # the camera's frame and the sidebar
FRAME = (333, 90, 990, 747)  # what lies in the camera's frame
GAP = 6
# Name of a picture, the screenshots that it is made of, and their part.
PICTURES = (
    ("photos", ("photos_added",), VIEW),
    ("window", ("fitted",), EDITOR),
    ("fitting", ("texture_shows",), VIEW),
    ("compare", ("photo", "render", "difference"), FRAME),
    ("result", ("report",), VIEW),
)


def beside(images: list[Image.Image]) -> Image.Image:
    """The images side by side, at the size of the first; several share the width of two."""
    width, height = images[0].size
    if len(images) > 1:
        width, height = (2 * side // len(images) for side in (width, height))
    row = Image.new("RGB", (len(images) * (width + GAP) - GAP, height), "white")
    for index, image in enumerate(images):
        row.paste(image.resize((width, height), Image.Resampling.LANCZOS), (index * (width + GAP), 0))
    return row


def main(folder: Path) -> int:
    """Writes all pictures, each with 256 colours, which screenshots hardly exceed."""
    for name, shots, part in PICTURES:
        images = [Image.open(next(folder.glob(f"[0-9][0-9]_{shot}.png"))).convert("RGB").crop(part) for shot in shots]
        path = ROOT / "docs" / "pictures" / f"{name}.png"
        beside(images).quantize(256).save(path, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "window" / "trixie"))
