"""Makes the help pages that the extension brings along: the artists' part of README.md and docs/ as HTML, readable without network.

``build_addon.py`` calls it; ``.venv/bin/python build_help.py FOLDER`` writes them anywhere.
"""

import html
import re
import sys
from pathlib import Path
from xml.etree.ElementTree import Element

import markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from PIL import Image

ROOT = Path(__file__).resolve().parent
README = "README.md"
# Page → its source: a file, or a section of README.md; "index" is what stands before README's first section.
PAGES = {
    "index": README,
    "install": f"{README}#Install in Blender",
    "first_fit": f"{README}#Your first fit",
    "photos": "docs/photos.md",
    "fitting": "docs/fitting.md",
    "settings": f"{README}#Settings",
    "scripts": "docs/scripts.md",
    "troubleshooting": f"{README}#Troubleshooting",
}
PICTURE_WIDTH = 1200  # pixels
PICTURE_QUALITY = 80

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 52rem; margin: 0 auto; padding: 1rem; font: 1rem/1.55 system-ui, sans-serif; }}
nav {{ border-bottom: 1px solid #8888; padding-bottom: .6rem; }}
nav a {{ margin-right: 1rem; white-space: nowrap; }}
img {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #8886; padding: .35rem .6rem; text-align: left; vertical-align: top; }}
code {{ background: #8882; padding: .1rem .25rem; border-radius: 3px; }}
pre {{ background: #8882; padding: .8rem; overflow-x: auto; border-radius: 4px; }}
pre code {{ background: none; padding: 0; }}
</style>
</head>
<body>
<nav>{navigation}</nav>
{body}
</body>
</html>
"""


def sections(text: str) -> dict[str, str]:
    """The parts of a Markdown text by the heading of second order that each begins with; what comes before the first one by ``""``."""
    first, *others = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return {"": first} | {part.splitlines()[0].removeprefix("## "): re.sub("^#(?=#)", "", part, flags=re.MULTILINE) for part in others}


def read_page(page: str) -> tuple[str, str]:
    """A page's Markdown, and its title, which is the first line.

    Raises:
        KeyError: README.md has no such section.
    """
    file, _, heading = PAGES[page].partition("#")
    text = (ROOT / file).read_text("utf-8")
    if file == README:
        text = sections(text)[heading]
    return text, text.splitlines()[0].removeprefix("# ")


class _Links(Treeprocessor):
    """Turns links between sources into links between pages, and notes the pictures that are shown."""

    def __init__(self, source: Path, pictures: set[Path]) -> None:
        super().__init__()
        self._folder, self._pictures = source.parent, pictures

    def run(self, root: Element) -> None:
        """Rewrites the links of a page.

        Raises:
            ValueError: One of them leads to a file that is not among the pages.
        """
        for element in root.iter():
            if element.tag == "img":
                picture = (self._folder / element.get("src", "")).resolve()
                self._pictures.add(picture)
                element.set("src", f"pictures/{picture.stem}.webp")
            elif element.tag == "a" and "://" not in element.get("href", ""):
                element.set("href", self._page(element.get("href", "")))

    def _page(self, link: str) -> str:
        file, _, anchor = link.partition("#")
        target = (self._folder / file).resolve().relative_to(ROOT).as_posix()
        for page, source in PAGES.items():
            start, _, heading = source.partition("#")
            if start == target and heading.lower().replace(" ", "-") == (anchor if start == README else ""):
                return f"{page}.html" + (f"#{anchor}" if anchor and start != README else "")
        raise ValueError(f"The link to {link} leads out of the help pages")


class _HelpLinks(Extension):
    """``_Links`` as Markdown wants it."""

    def __init__(self, links: _Links) -> None:
        super().__init__()
        self._links = links

    def extendMarkdown(self, md: markdown.Markdown) -> None:  # noqa: N802 Markdown's own name
        """Puts the links after Markdown's own inline patterns."""
        md.treeprocessors.register(self._links, "help_links", 0)


def write_help(folder: Path) -> None:
    """Fills ``folder`` with one HTML file per page and its pictures, reduced.

    Raises:
        ValueError: A page links to something that is not among them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {page: read_page(page) for page in PAGES}
    navigation = " ".join(f'<a href="{page}.html">{html.escape(title)}</a>' for page, (_, title) in texts.items())
    pictures: set[Path] = set()
    for page, (text, title) in texts.items():
        links = _HelpLinks(_Links(ROOT / PAGES[page].partition("#")[0], pictures))
        body = markdown.markdown(text, extensions=["tables", "fenced_code", "toc", "sane_lists", links], output_format="html")
        (folder / f"{page}.html").write_text(TEMPLATE.format(title=html.escape(title), navigation=navigation, body=body), "utf-8")
    (folder / "pictures").mkdir(exist_ok=True)
    for picture in sorted(pictures):
        image = Image.open(picture).convert("RGB")
        image.thumbnail((PICTURE_WIDTH, image.height))
        image.save(folder / "pictures" / f"{picture.stem}.webp", quality=PICTURE_QUALITY, method=6)


if __name__ == "__main__":
    write_help(Path(sys.argv[1]))
