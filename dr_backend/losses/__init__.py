"""Error maps between a render and a photo, and regularisers: unreduced, unweighted."""

from .normal_consistency import normal_consistency
from .photometric import photometric
from .silhouette import silhouette

__all__ = ["normal_consistency", "photometric", "silhouette"]
