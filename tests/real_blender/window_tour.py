"""Runs inside Blender, in a real window: a first fit as a user makes it, from the zip to Revert in a reopened file.

``blender --enable-event-simulate --python window_tour.py -- FOLDER PYTHON``: FOLDER has ``addon.zip``, ``bare.blend``, ``picked``
photos and ``cameras.json``, PYTHON is the backend's. Leaves numbered screenshots in ``FOLDER/window`` and ``tour.json``, which
run.py judges.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

FOLDER, PYTHON = Path(sys.argv[sys.argv.index("--") + 1]), sys.argv[-1]
sys.path.insert(0, str(Path(__file__).resolve().parent))

from window_driver import Driver, Steps  # noqa: E402

PACKAGE = "bl_ext.user_default.fit_to_photo"
DRIVER = Driver(FOLDER / "window")
ANSWERS: dict[str, list[float]] = {}  # seconds until Blender did what it was asked, without and with a fit that runs
FOUND: dict[str, object] = {"blender": bpy.app.version_string, "answers": ANSWERS}


def scene() -> bpy.types.Scene:
    return bpy.context.window_manager.windows[0].scene


def room(name: str) -> object:
    """A module of the installed extension."""
    return sys.modules[f"{PACKAGE}.{name}"]


def fit() -> object:
    return room("session").current()


def fitted() -> bool:
    """Whether a fit left something that Revert would take away."""
    return room("exchange.result").has_result(scene())


def keys() -> list[str]:
    """The ball's shape keys; empty as at the start."""
    stored = bpy.data.objects["Ball"].data.shape_keys
    return [key.name for key in stored.key_blocks] if stored else []


def images() -> list[str]:
    """The images in the ball's material; empty as at the start."""
    nodes = [node for slot in bpy.data.objects["Ball"].material_slots for node in slot.material.node_tree.nodes]
    return [node.image.name for node in nodes if node.type == "TEX_IMAGE" and node.image]


def texture_shows() -> bool:
    """Whether the view shows colours of the texture of the fit that runs."""
    nodes = [node for slot in bpy.data.objects["Ball"].material_slots if slot.material for node in slot.material.node_tree.nodes]
    ours = {node.type: node for node in nodes if node.label == "Fit to Photo Preview"}
    if not ours or ours["MIX"].inputs[0].default_value < 1:
        return False
    pixels = np.empty(len(ours["TEX_IMAGE"].image.pixels), np.float32)
    ours["TEX_IMAGE"].image.pixels.foreach_get(pixels)
    return float(pixels.reshape(-1, 4)[:, :3].std(0).max()) > 0.1


def corners() -> list[float]:
    """Where the ball's evaluated surface ends, to see it move."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    mesh = bpy.data.objects["Ball"].evaluated_get(depsgraph).data
    return [round(side(v.co[axis] for v in mesh.vertices), 4) for axis in range(3) for side in (min, max)]


def expect(truth: object, sentence: str) -> None:
    """The tour's assert."""
    if not truth:
        raise AssertionError(sentence)


def install() -> Steps:
    """Install from Disk, twice, as for an update; the bundled wheel has to be there afterwards."""
    for _ in range(2):
        yield from DRIVER.ticks(30)
        bpy.ops.extensions.package_install_files(filepath=str(FOLDER / "addon.zip"), repo="user_default", enable_on_install=True)
        yield lambda: hasattr(bpy.types.Scene, "fit_to_photo")
    expect(Path(sys.modules["dr_backend"].__file__).is_file(), "installed over itself, the extension should still bring dr_backend")
    bpy.context.preferences.filepaths.file_preview_type = "NONE"
    bpy.context.preferences.view.filebrowser_display_type = "SCREEN"


def open_tab() -> Steps:
    """N opens the sidebar; the tab says what is missing."""
    yield from DRIVER.key("N")
    yield lambda: DRIVER.area().spaces.active.show_region_ui
    yield show_tab
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("installed")


def show_tab() -> bool:
    """Chooses the tab; Blender knows the tabs only once the sidebar was drawn, and shows the choice when it is drawn again."""
    DRIVER.area().tag_redraw()
    with contextlib.suppress(AttributeError, TypeError):
        shown = DRIVER.region("UI").active_panel_category == "Fit to Photo"
        DRIVER.region("UI").active_panel_category = "Fit to Photo"
        return shown
    return False


def choose_python() -> Steps:
    """Opens the panel Backend, chooses a Python that is there, and presses Check Setup."""
    button: list[tuple[int, int]] = []
    yield from DRIVER.find("fit_to_photo.run", button)
    x, y = button[0]
    for lower in (y - 66, y - 54, y - 90):  # the header of the panel Backend lies below the button and the header Advanced
        yield from DRIVER.press("LEFTMOUSE", x, lower)
        yield from DRIVER.ticks(20)  # it unfolds
        with contextlib.suppress(LookupError):
            yield from DRIVER.find("fit_to_photo.check_setup", button, 0.25)
            break
    room("preferences").stored_preferences().backend_python = PYTHON
    yield from DRIVER.ticks(20)  # the line about the missing backend goes
    yield from DRIVER.click("fit_to_photo.check_setup", 0.25)
    yield lambda: room("operators.setup").last_check() is not None
    FOUND["check"] = room("operators.setup").last_check().sentences()
    yield from DRIVER.ticks(40)
    DRIVER.screenshot("check_setup")
    expect(room("operators.setup").last_check().ready, "Check Setup should find the backend ready")


def add_photos() -> Steps:
    """Photos picked in the file browser; then the cameras are put where the photos were taken, as a user lines them up."""
    bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "bare.blend"))  # with its own window, where the panel Backend is folded
    yield lambda: "Ball" in bpy.data.objects
    yield from DRIVER.ticks(15)
    yield from DRIVER.key("N")
    yield lambda: DRIVER.area().spaces.active.show_region_ui
    yield show_tab
    yield from DRIVER.ticks(15)
    FOUND["start"] = corners()
    places = json.loads((FOLDER / "cameras.json").read_text("utf-8"))
    yield from DRIVER.click("fit_to_photo.add_photos")
    yield lambda: DRIVER.area("FILE_BROWSER") is not None and DRIVER.area("FILE_BROWSER").spaces.active.params is not None
    DRIVER.area("FILE_BROWSER").spaces.active.params.directory = str(FOLDER / "picked").encode()
    yield from DRIVER.ticks(40)
    yield from DRIVER.key("A", editor="FILE_BROWSER")
    yield from DRIVER.ticks(10)
    DRIVER.screenshot("file_browser")
    yield from DRIVER.key("RET", editor="FILE_BROWSER")
    yield lambda: sum(o.type == "CAMERA" for o in scene().objects) == len(places)
    for name, place in places.items():
        camera = bpy.data.objects[name]
        camera.matrix_world, camera.data.lens = Matrix(place["matrix"]), place["lens"]
    bpy.ops.ed.undo_push(message="Cameras in Place")
    yield show_tab
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("photos_added")


def answer(when: str) -> Steps:
    """Presses A or Alt+A over the view, and keeps the time until everything or nothing is selected."""
    lamp = next(o.name for o in scene().objects if o.type == "LIGHT")
    chosen, since = bpy.data.objects[lamp].select_get(), time.monotonic()
    region = DRIVER.region("WINDOW")
    for value in ("PRESS", "RELEASE"):
        DRIVER.window.event_simulate(type="A", value=value, alt=chosen, x=region.x + 200, y=region.y + 200)
    yield lambda: bpy.data.objects[lamp].select_get() != chosen or (when == "fit" and what_goes_on() != "running")
    if bpy.data.objects[lamp].select_get() != chosen:
        ANSWERS.setdefault(when, []).append(time.monotonic() - since)
    yield from DRIVER.ticks(25)


def what_goes_on() -> str:
    """The state of the fit, while there is one."""
    return fit().state.value if room("session").is_running() else ""


def begin_fit(shot: str) -> Steps:
    """Presses Fit to Photo and sees the progress and the mesh move."""
    scene().fit_to_photo.quality = "high"  # long enough for what follows
    yield from DRIVER.click("fit_to_photo.run")
    yield room("session").is_running
    for moved in (lambda: fit().progress.step > 60, lambda: corners() != FOUND["start"]):
        yield lambda moved=moved: fit().finished or moved()
        expect(not fit().finished, f"the fit should still run: {fit().message}")
    DRIVER.screenshot(shot)


def cancel_undo_redo() -> Steps:
    """Cancel keeps the best; one undo takes it back, one redo brings it again; Revert removes it."""
    yield from begin_fit("running")
    yield from DRIVER.key("ESC")
    yield lambda: fit().finished
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("cancelled")
    FOUND["cancelled"] = {"state": fit().state.value, "message": fit().message, "corners": corners()}
    expect(fit().state.value == "cancelled" and fitted() and corners() != FOUND["start"], f"cancel should keep the best: {fit().message}")
    yield from DRIVER.key("Z", ctrl=True)
    yield lambda: not fitted() and corners() == FOUND["start"] and not keys()
    yield from DRIVER.ticks(10)
    DRIVER.screenshot("undone")
    yield from DRIVER.key("Z", ctrl=True, shift=True)
    yield lambda: fitted() and corners() == FOUND["cancelled"]["corners"]
    yield from DRIVER.ticks(10)
    DRIVER.screenshot("redone")
    yield from DRIVER.click("fit_to_photo.revert", 0.75)
    yield lambda: not fitted() and corners() == FOUND["start"]


def fit_to_the_end() -> Steps:
    """A whole fit, with Blender's own renders as proof, and how fast Blender answers without and with it."""
    DRIVER.area().spaces.active.shading.color_type = "TEXTURE"
    DRIVER.watching = lambda: "idle"
    for _ in range(6):
        yield from answer("idle")
    DRIVER.watching = str
    scene().fit_to_photo.quality = "standard"
    yield from DRIVER.click("fit_to_photo.run")
    yield room("session").is_running
    DRIVER.watching = what_goes_on
    shown = False
    while what_goes_on() == "running":
        yield from answer("fit")
        if not shown and texture_shows():
            shown = True
            yield from DRIVER.ticks(10)
            DRIVER.screenshot("texture_shows")
    expect(shown, "the view should show the texture while it is fitted")
    yield lambda: fit().finished
    yield from DRIVER.ticks(15)
    FOUND["fitted"] = {"state": fit().state.value, "message": fit().message, "corners": corners(), "images": images()}
    FOUND["report"] = json.loads(scene().fit_to_photo.last_report)
    DRIVER.screenshot("fitted")
    expect(fit().state.value == "done" and fitted() and images(), f"the fit should end well: {fit().message}")


def compare() -> Steps:
    """Photo, render and difference over the view; the report's first row leads to the camera that matches worst."""
    worst = FOUND["report"]["worst"]
    yield from DRIVER.click("fit_to_photo.look_through", 0.1)
    yield lambda: scene().camera.name == worst
    yield from DRIVER.find("fit_to_photo.copy_report", [], 0.25)
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("report")
    for view, across in (("PHOTO", 0.15), ("RENDER", 0.5), ("DIFFERENCE", 0.8)):
        yield from DRIVER.click("fit_to_photo.view", across)
        yield lambda view=view: bpy.context.window_manager.fit_to_photo.view == view
        yield from DRIVER.ticks(15)
        DRIVER.screenshot(view.lower())
    bpy.context.window_manager.fit_to_photo.view = "NONE"


def strength() -> Steps:
    """The slider's ends are before and after."""
    for value, wanted, shot in (("0", FOUND["start"], "strength_0"), ("1", FOUND["fitted"]["corners"], "strength_1")):
        yield from DRIVER.enter("fit_to_photo.strength", value)
        yield lambda wanted=wanted: corners() == wanted
        yield from DRIVER.ticks(10)
        DRIVER.screenshot(shot)


def revert_and_reopen() -> Steps:
    """Revert, undo it, save, open the file again, Revert again."""
    yield from DRIVER.click("fit_to_photo.revert", 0.75)
    yield lambda: not fitted() and corners() == FOUND["start"]
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("reverted")
    yield from DRIVER.key("Z", ctrl=True)
    yield lambda: fitted() and corners() == FOUND["fitted"]["corners"]
    path = str(FOLDER / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path, load_ui=False)
    yield lambda: bpy.data.filepath == path and fitted()
    yield show_tab
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("reopened")
    yield from DRIVER.click("fit_to_photo.revert", 0.75)
    yield lambda: not fitted() and corners() == FOUND["start"]
    expect(not keys() and not images(), f"after reopening Revert should leave nothing: {keys()} {images()}")
    yield from DRIVER.ticks(15)
    DRIVER.screenshot("reverted_again")


def leave_mid_fit() -> Steps:
    """Starts one more fit, for Blender is then closed while it runs."""
    scene().fit_to_photo.quality = "high"
    yield from begin_fit("before_closing")
    job = fit()._job.path
    yield lambda: fit().finished or (job / "checkpoint.npz").exists()
    expect(not fit().finished, f"the fit should still run: {fit().message}")
    FOUND["left"] = {"pid": fit()._client.pid, "job": str(job)}


def tour() -> Steps:
    """Everything, in order."""
    first = (install, open_tab, choose_python, add_photos)
    for part in (*first, cancel_undo_redo, fit_to_the_end, compare, strength, revert_and_reopen, leave_mid_fit):
        began = time.monotonic()
        yield from part()
        FOUND.setdefault("seconds", {})[part.__name__] = round(time.monotonic() - began, 1)


def end(problem: str) -> None:
    """Writes what was found and closes Blender as a user does, or at once after a failure."""
    FOUND["problem"], FOUND["gaps"], FOUND["computed"] = problem, DRIVER.gaps, DRIVER.computed
    FOUND["closed"] = time.time()
    (FOLDER / "tour.json").write_text(json.dumps(FOUND), "utf-8")
    if problem:
        sys.stdout.flush()
        os._exit(1)
    bpy.ops.wm.quit_blender()


bpy.context.preferences.view.show_splash = False
bpy.context.preferences.system.viewport_aa = "OFF"  # with it a processor draws the view eight times after each change
DRIVER.folder.mkdir()
DRIVER.start(tour(), end)
