"""Differences between a render and a photo, summed over pixels, and how sharply faces turn: unweighted."""

from .normal_consistency import normal_consistency
from .photometric import photometric
from .silhouette import silhouette

__all__ = ["normal_consistency", "photometric", "silhouette"]
