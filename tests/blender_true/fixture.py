"""What a fixture is: a scene built in bpy, and how near our picture of it must come to Cycles'."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .studio import Studio


@dataclass(frozen=True)
class Gate:
    """What must be reached: a PSNR in dB on linear values clipped to 1, or the agreement of outlines."""

    psnr: float | None = None
    iou: float | None = None  # masks at half coverage
    edge_px: float | None = None  # mean distance between the outlines

    def __str__(self) -> str:
        if self.psnr is not None:
            return f"≥ {self.psnr:g} dB"
        return f"IoU ≥ {self.iou:g}, edge ≤ {self.edge_px:g} px"


OUTLINE = Gate(iou=0.995, edge_px=0.1)
UNSHADOWED = TEXTURE = Gate(psnr=40)
SHADOWED = Gate(psnr=35)
GLOSSY = MIXED = Gate(psnr=32)


@dataclass(frozen=True)
class Fixture:
    """One scene. Everything that ``build`` adds to the studio is rendered by both."""

    group: str
    name: str
    gate: Gate
    build: Callable[[Studio], None]
    display: bool  # compared as displayed in the Standard view, not as linear values
    lit: bool  # False: surfaces show their base colour, in Cycles by emission
    samples: int  # of Cycles, per pixel
    supersample: int  # of ours: this many samples along each side of a pixel
    warns: str = ""  # words that one of the reader's warnings must hold; without, there must be none
    missed: str = ""  # why the gate is not reached: then the test expects that, and the table says so

    @property
    def path(self) -> str:
        """Group and name, unique."""
        return f"{self.group}/{self.name}"

    @property
    def file_name(self) -> str:
        """The same as the name of a file."""
        return self.path.replace("/", " - ")


FIXTURES: dict[str, Fixture] = {}


def fixture(
    group: str,
    gate: Gate,
    *,
    variants: Iterable[str] = ("",),
    lit: bool = True,
    display: bool = False,
    samples: int = 48,
    supersample: int = 2,
    warns: str = "",
    missed: dict[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers the function below it, once for each variant, which it then gets as its second argument.

    ``missed`` maps a variant to the reason why it stays below its gate.
    """

    def register(build: Callable[..., None]) -> Callable[..., None]:
        for variant in variants:
            words = build.__name__.replace("_", " ")
            made = Fixture(
                group=group,
                name=f"{words}, {variant}" if variant else words,
                gate=gate,
                build=(lambda studio, v=variant: build(studio, v)) if variant else build,
                display=display,
                lit=lit,
                samples=samples,
                supersample=supersample,
                warns=warns,
                missed=(missed or {}).get(variant, ""),
            )
            if made.path in FIXTURES:
                raise ValueError(f"Two fixtures are called {made.path}")
            FIXTURES[made.path] = made
        return build

    return register
