"""How sharply neighbouring faces turn."""

from jaxtyping import Float
from torch import Tensor

from ..geometry.normals import face_normals, taken
from ..geometry.topology import Topology
from ..kernels.optional import kernels


def normal_consistency(positions: Float[Tensor, "V 3"], topology: Topology) -> Float[Tensor, " P"]:
    """One minus the cosine between the normals of two faces that share an edge, of ``topology.face_pairs``: 0 when flat, 2 when folded.

    Wang et al., "Pixel2Mesh", ECCV 2018, section 3.4, in the form on face pairs. Gradient exact, for ``positions``;
    faces without area have no normal and pull nothing.
    """
    quick = kernels("geometry.normal_kernels", positions)
    if quick is not None and len(topology.face_pairs):
        return quick.normal_consistency(positions, topology)
    one, other = taken(face_normals(positions, topology.faces), topology.face_pairs.T.reshape(-1)).chunk(2, 1)
    return 1 - (one * other).sum(0)
