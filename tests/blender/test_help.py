"""The help pages: whole, linked, and found by every button and right-click menu, in the built extension and in a checkout."""

import sys
import webbrowser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from PIL import Image

bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
import build_help  # noqa: E402
from blender_addon import manual, operators, panels  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def registered():
    blender_addon.register()
    yield
    blender_addon.unregister()  # bpy hangs at exit with classes still registered


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zip") / "help"
    build_help.write_help(folder)
    return folder


@pytest.fixture
def opened(monkeypatch):
    """The files that the web browser was asked to show."""
    found = []

    def show(url):
        found.append(Path(unquote(urlparse(url).path)))
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    return found


class Page(HTMLParser):
    """Links, pictures and anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.pictures, self.anchors = [], [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links += [found["href"]] if tag == "a" else []
        self.pictures += [found["src"]] if tag == "img" else []
        self.anchors |= {found["id"]} if "id" in found else set()


def test_every_link_and_picture_resolves(pages):
    pictures = set()
    for file in pages.glob("*.html"):
        page = Page(file)
        assert page.links, file
        for link in page.links:
            if urlparse(link).scheme == "https":
                continue
            target, _, anchor = link.partition("#")
            assert (pages / target).is_file(), (file.name, link)
            assert not anchor or anchor in Page(pages / target).anchors, (file.name, link)
        for picture in page.pictures:
            with Image.open(pages / picture) as image:
                assert 300 < image.width <= build_help.PICTURE_WIDTH, picture
        pictures |= {pages / picture for picture in page.pictures}
    assert pictures == set((pages / "pictures").iterdir())


def test_no_markdown_is_left_over(pages):
    for file in pages.glob("*.html"):
        text = file.read_text("utf-8")
        assert "**" not in text, file
        assert "](" not in text, file
        assert "|---" not in text, file
        assert "<h1" in text, file


def test_a_link_out_of_the_pages_stops_the_build(pages, tmp_path, monkeypatch):
    monkeypatch.setitem(build_help.PAGES, "index", "README.md#For developers")
    with pytest.raises(ValueError, match="leads out of the help pages"):
        build_help.write_help(tmp_path / "help")


def test_the_addon_knows_every_page(pages):
    assert [page for page, _, _ in manual.PAGES] == list(build_help.PAGES)
    assert {file.stem for file in pages.glob("*.html")} == set(build_help.PAGES)


@pytest.mark.parametrize("page", build_help.PAGES)
def test_the_button_opens_the_built_page(pages, opened, monkeypatch, page):
    monkeypatch.setattr(manual, "FOLDER", pages)
    assert bpy.ops.fit_to_photo.open_help(page=page) == {"FINISHED"}
    assert opened == [pages / f"{page}.html"]


@pytest.mark.parametrize("page", build_help.PAGES)
def test_a_checkout_opens_what_the_page_is_built_from(opened, page):
    assert bpy.ops.fit_to_photo.open_help(page=page) == {"FINISHED"}
    assert opened == [ROOT / build_help.PAGES[page].partition("#")[0]]


def test_without_a_browser_the_file_is_named(pages, monkeypatch):
    monkeypatch.setattr(manual, "FOLDER", pages)
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    with pytest.raises(RuntimeError, match="No web browser was found: open .*index.html by hand"):
        bpy.ops.fit_to_photo.open_help()


def test_missing_pages_are_a_sentence(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(manual, "FOLDER", tmp_path / "help")
    monkeypatch.setattr(manual, "_CHECKOUT", tmp_path)
    with pytest.raises(RuntimeError, match="is missing: install the add-on again"):
        bpy.ops.fit_to_photo.open_help()
    assert not opened


def test_every_panel_has_its_page():
    known = {page for page, _, _ in manual.PAGES}
    shown = {cls: cls.help_page for cls in panels.CLASSES if issubclass(cls, bpy.types.Panel)}
    assert len(set(shown.values())) >= 4
    assert set(shown.values()) <= known


def names():
    """Whatever of ours can be right-clicked, as Blender names it."""
    for cls in operators.CLASSES:
        yield cls.bl_idname
    for cls in blender_addon.CLASSES:
        if issubclass(cls, bpy.types.PropertyGroup):  # Blender knows no names of preferences
            for name in cls.__annotations__:
                yield f"{cls.bl_rna.identifier}.{name}"


@pytest.mark.skipif(sys.platform == "win32", reason="file URLs are compared as POSIX paths")
def test_online_manual_knows_everything_that_can_be_clicked(pages, opened, monkeypatch):
    monkeypatch.setattr(manual, "FOLDER", pages)
    for name in names():
        assert bpy.ops.wm.doc_view_manual(doc_id=name) == {"FINISHED"}, name
    assert len(opened) == len(list(names())) > 30
    assert set(opened) <= set(pages.glob("*.html"))
    asked = {
        "fit_to_photo.add_photos": "photos", "fit_to_photo.add_preset": "settings", "fit_to_photo.setup_backend": "install",
        "fit_to_photo.revert": "fitting", "FITTOPHOTO_PG_scene.stiffness": "settings", "FITTOPHOTO_PG_scene.strength": "fitting",
        "FITTOPHOTO_PG_object.held_out": "photos",
    }  # fmt: skip
    for name, page in asked.items():
        opened.clear()
        bpy.ops.wm.doc_view_manual(doc_id=name)
        assert opened == [pages / f"{page}.html"], name
