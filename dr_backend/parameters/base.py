"""The description of a parameter: pure data, read by the panel, the settings and the problem."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """A leaf that may move, and how."""

    key: str  # name of the switch in FitSettings
    label: str  # what the panel calls it
    group: str  # of the leaf path
    field: str  # of the leaf path
    parameterization: str  # name in the parameterizations table
    rate: float  # step size of the optimizer in latent units
    help: str  # tooltip
