"""What cannot be exchanged, in words for the artist."""

from collections.abc import Iterator
from contextlib import contextmanager

from dr_backend.language import told


class SceneProblem(Exception):
    """A sentence that names the object and says what to do, told as ``told`` tells it. Raised before anything in the file is changed."""

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(told(text, **values))


@contextmanager
def memory_problems() -> Iterator[None]:
    """Turns a lack of memory into a sentence."""
    try:
        yield
    except MemoryError as error:
        raise SceneProblem(
            "There is not enough memory to read meshes, textures and photos: choose a smaller Texture Size or use smaller photos, "
            "or close other programs"
        ) from error
