"""What cannot be exchanged, in words for the artist."""


class SceneProblem(Exception):
    """A sentence that names the object and says what to do. Raised before anything in the file is changed."""
