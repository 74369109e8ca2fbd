"""What cannot be exchanged, in words for the artist."""

from collections.abc import Iterator
from contextlib import contextmanager


class SceneProblem(Exception):
    """A sentence that names the object and says what to do. Raised before anything in the file is changed."""


@contextmanager
def memory_problems() -> Iterator[None]:
    """Turns a lack of memory into a sentence."""
    try:
        yield
    except MemoryError as error:
        remedy = "choose a smaller Texture Size or use smaller photos, or close other programs"
        raise SceneProblem(f"There is not enough memory to read meshes, textures and photos: {remedy}") from error
