"""Photos and masks that cannot be fitted: each is a sentence, and the scene stays as it was."""

import sys
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.operators.conftest import Cases  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake worker is started by a shell script")
bad = Cases()


def front() -> "bpy.types.CameraBackgroundImage":
    return bpy.data.cameras["Front"].background_images[0]


def use_file(path: Path) -> None:
    """Makes the file the photo of Front."""
    front().image.source, front().image.filepath = "FILE", str(path)
    front().image.reload()


def saved(path: Path) -> Path:
    """A photo in a file."""
    image = bpy.data.images.new("Saved", 32, 24)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def clip_photo(path: Path) -> None:
    """Makes the file, as a movie clip, the photo of Front."""
    front().source, front().clip = "MOVIE_CLIP", bpy.data.movieclips.load(str(path))


def add_mask(size=(32, 24), value=1.0) -> "bpy.types.CameraBackgroundImage":
    mask = bpy.data.images.new("Mask", *size)
    mask.pixels.foreach_set(np.tile(np.array((value, value, value, 1), np.float32), size[0] * size[1]))
    background = bpy.data.cameras["Front"].background_images.new()
    background.image = mask
    return background


@bad("No visible camera has a photo: press Add Photos")
def no_photo(tmp_path):
    for camera in bpy.data.cameras:
        camera.background_images.clear()


@bad("Camera 'Front' has no photo: press Match Photo")
def selected_camera_without_photo(tmp_path):
    no_photo(tmp_path)
    bpy.data.objects["Front"].select_set(True)


@bad("No photo takes part: turn on the box of at least one in the list Photos")
def all_photos_left_out(tmp_path):
    for name in ("Front", "Side"):
        bpy.data.objects[name].fit_to_photo.include = False


@bad("All photos are held out: turn off Hold Out for at least one camera")
def all_photos_held_out(tmp_path):
    for name in ("Front", "Side"):
        bpy.data.objects[name].fit_to_photo.held_out = True


@bad("Camera 'Front': The file of image 'Front' is missing: .*nowhere.png. Find it with File > External Data")
def missing_file(tmp_path):
    use_file(tmp_path / "nowhere.png")


@bad("The file of image 'Front' is missing: no path is set")
def no_path_in_an_unsaved_file(tmp_path):
    front().image.source, front().image.filepath = "FILE", ""


@bad("'Front' has no pixels: its file .*broken.png is empty or damaged. Choose another image")
def corrupt_file(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    use_file(tmp_path / "broken.png")


@bad("is empty or damaged. Choose another image")
def file_cut_short(tmp_path):
    whole = saved(tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    use_file(tmp_path / "cut.png")


@bad("is empty or damaged. Choose another image")
def file_of_no_bytes(tmp_path):
    (tmp_path / "empty.jpg").touch()
    use_file(tmp_path / "empty.jpg")


@bad("is empty or damaged. Choose another image")
def a_text_that_calls_itself_photo(tmp_path):
    (tmp_path / "text.png").write_text("not a photo")
    use_file(tmp_path / "text.png")


@bad("The file of image 'Front' is missing")
def a_folder_instead_of_a_file(tmp_path):
    use_file(tmp_path)


@bad("The photo of camera 'Front' holds pixels that are not numbers: save it again from an image editor")
def pixels_that_are_not_numbers(tmp_path):
    image = bpy.data.images.new("Broken", 32, 24, float_buffer=True)
    image.pixels.foreach_set(np.full(32 * 24 * 4, np.nan, np.float32))
    image.update()
    front().image = image


@bad("The photo of camera 'Front' has no size: set its Scale to 1 under Camera > Background Images")
def photo_scaled_to_nothing(tmp_path):
    front().scale = 0


@bad("Image 'Render Result' is what Blender rendered last: save one still image as a file and choose that")
def what_was_rendered_last(tmp_path):
    bpy.context.scene.camera = bpy.data.objects["Front"]
    bpy.context.scene.render.engine = "BLENDER_WORKBENCH" if sys.platform == "darwin" else "CYCLES"
    bpy.context.scene.cycles.samples = 1
    bpy.ops.render.render()
    front().image = bpy.data.images["Render Result"]


@bad("Image 'Front' is a movie: save one still image as a file and choose that")
def a_movie_as_image(tmp_path):
    front().image.source = "MOVIE"


@bad("Image 'Front' is a sequence of images: save one still image")
def a_sequence_as_image(tmp_path):
    front().image.source = "SEQUENCE"


@bad("Image 'Front' is made of tiles: save one still image")
def a_tiled_image(tmp_path):
    front().image.source = "TILED"


@bad("Movie clip 'gone.png' has no file .*gone.png: go to a frame that it has, or find it with File > External Data")
def movie_clip_whose_file_is_gone(tmp_path):
    clip_photo(saved(tmp_path / "gone.png"))
    (tmp_path / "gone.png").unlink()


@bad("lens distortion Division: set it to Polynomial")
def movie_clip_with_an_unknown_lens(tmp_path):
    clip_photo(saved(tmp_path / "shot.png"))
    camera = front().clip.tracking.camera
    camera.distortion_model, camera.division_k1 = "DIVISION", 0.1


@bad("Camera 'Front': The mask is a movie clip: choose an image")
def a_clip_as_mask(tmp_path):
    mask = add_mask()
    mask.source, mask.clip = "MOVIE_CLIP", bpy.data.movieclips.load(str(saved(tmp_path / "mask.png")))


@bad("The mask of camera 'Front' is 10 × 10 pixels, its photo 32 × 24: make them the same size")
def mask_of_another_size(tmp_path):
    add_mask((10, 10))


@bad("The mask of camera 'Front' is empty: paint the object white, or remove the mask")
def black_mask(tmp_path):
    add_mask(value=0)


@bad("The mask of camera 'Front' is empty: paint the object white, or remove the mask")
def photo_all_transparent(tmp_path):
    front().image.pixels.foreach_set(np.zeros(32 * 24 * 4, np.float32))


@bad("Camera 'Front': The file of image 'Mask' is missing")
def missing_mask_file(tmp_path):
    mask = add_mask().image
    mask.source, mask.filepath = "FILE", str(tmp_path / "mask.png")
    mask.reload()


@bad("Camera 'Front': The mask has another Rotation than its photo: give both the same")
def mask_turned(tmp_path):
    add_mask().rotation = 1


@pytest.mark.parametrize("name", bad)
def test_a_bad_photo_is_a_sentence(refused, tmp_path, name):
    spoil, words = bad[name]
    spoil(tmp_path)
    bpy.context.view_layer.update()
    refused(words)
