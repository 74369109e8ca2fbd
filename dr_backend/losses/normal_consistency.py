"""How sharply neighbouring faces turn."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def normal_consistency(positions: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], face_pairs: Int[Tensor, "P 2"]) -> Float[Tensor, " P"]:
    """One minus the cosine between the normals of two faces that share an edge: 0 when flat, 2 when folded.

    Wang et al., "Pixel2Mesh", ECCV 2018, section 3.4, in the form on face pairs. Gradient exact, for ``positions``;
    faces without area have no normal and pull nothing.
    """
    a, b, c = positions[faces].unbind(1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1, eps=1e-20)
    return 1 - (normals[face_pairs[:, 0]] * normals[face_pairs[:, 1]]).sum(-1)
