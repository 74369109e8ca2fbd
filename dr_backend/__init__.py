"""Differentiable-rendering backend of Fit to Photo: fits 3D scenes to photographs by gradient descent.

Only ``scene``, ``parameters`` and ``job`` may be imported without torch; Blender imports those three and nothing else.
"""

__version__ = "0.1.0"
