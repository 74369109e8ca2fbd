"""What the artist chose, as a frozen dataclass that travels in ``job.json``."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ..language import told

Quality = Literal["draft", "standard", "high"]
LARGEST_PHOTO = 2048  # pixels along its longer side: no stage of any quality compares with more
QUALITIES: tuple[Quality, ...] = ("draft", "standard", "high")


@dataclass(frozen=True)
class FitSettings:
    """Settings of one fit. Every field has a default, so that a job by hand needs only what differs."""

    geometry: bool = True  # move the vertices
    texture: bool = True  # paint the base-colour image
    quality: Quality = "standard"  # image size and number of steps of each stage
    renderer: str = "auto"  # a name of the renderer table
    device: str = "auto"  # "auto", "cpu" or "cuda"
    seed: int = 0  # order of the views; the same seed gives the same fit
    texture_size: int = 0  # texels along a side; 0: from the photos
    stiffness: float = 1.0  # how strongly neighbouring vertices move together; 1 suits most meshes

    def __post_init__(self) -> None:
        """Refuses what no fit can do.

        Raises:
            ValueError: With a sentence for the artist.
        """
        if not (self.geometry or self.texture):
            raise ValueError(told("Nothing to fit: turn on Geometry or Texture"))
        if self.quality not in QUALITIES:
            raise ValueError(f"Quality '{self.quality}' is unknown: choose one of {', '.join(QUALITIES)}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"Device '{self.device}' is unknown: choose auto, cpu or cuda")
        if not 0 <= self.texture_size <= 8192:
            raise ValueError(told("Texture size must lie between 0 (from the photos) and 8192"))
        if not 0.05 <= self.stiffness <= 20:
            raise ValueError(told("Stiffness must lie between 0.05 and 20"))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FitSettings":
        """The settings of such a dictionary; unknown keys are ignored, missing ones take their default.

        Raises:
            ValueError: A value has the wrong type or range.
        """
        if not isinstance(data, dict):
            raise ValueError(f"Settings should be a dictionary, not {data!r}")
        known: dict[str, Any] = {}
        for f in fields(cls):
            if f.name in data:
                default = f.default
                value = float(data[f.name]) if isinstance(default, float) and isinstance(data[f.name], int) else data[f.name]
                if type(value) is not type(default):
                    raise ValueError(f"Setting '{f.name}' should be a {type(default).__name__}, not {value!r}")
                known[f.name] = value
        return cls(**known)
