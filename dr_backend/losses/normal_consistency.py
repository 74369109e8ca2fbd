"""How sharply neighbouring faces turn."""

from jaxtyping import Float, Int
from torch import Tensor

from ..geometry.normals import face_normals, taken


def normal_consistency(positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face_pairs: Int[Tensor, "P 2"]) -> Float[Tensor, " P"]:
    """One minus the cosine between the normals of two faces that share an edge: 0 when flat, 2 when folded.

    Wang et al., "Pixel2Mesh", ECCV 2018, section 3.4, in the form on face pairs. Gradient exact, for ``positions``;
    faces without area have no normal and pull nothing.
    """
    one, other = taken(face_normals(positions, faces), face_pairs.T.reshape(-1)).chunk(2, 1)
    return 1 - (one * other).sum(0)
