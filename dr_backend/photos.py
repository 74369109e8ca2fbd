"""Photos as a stage compares with them: reduced, premultiplied by their masks, with cameras to match."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .scene import Camera, Photo
from .scene.exposure import photo_gain
from .scene.resize import resized


@dataclass(frozen=True)
class Target:
    """A photo at the size of a stage."""

    name: str
    camera: Camera
    rgb: Tensor  # (H, W, 3) linear; premultiplied where there is a mask
    mask: Tensor | None  # (H, W)


def exposed(rgb: Tensor, camera: Camera) -> Tensor:
    """Rendered linear colours (H, W, 3) as the camera's photo would show them. Gradients: exact, for exposure and white balance too."""
    gain = photo_gain(camera)
    return rgb if gain is None else rgb * gain


def _area(image: Tensor, height: int, width: int) -> Tensor:
    """Mean of the pixels under each new pixel: (H, W, K) → (height, width, K)."""
    return F.interpolate(image.permute(2, 0, 1)[None], size=(height, width), mode="area")[0].permute(1, 2, 0).contiguous()


def reduced(camera: Camera, max_side: int) -> Camera:
    """The camera of a photo whose longer side is reduced to at most ``max_side`` pixels."""
    width, height = camera.size
    shrink = min(1.0, max_side / max(width, height))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    factor = torch.tensor([size[0] / width, size[1] / height], device=camera.focal_px.device)
    return resized(camera, size, factor)


def make_target(photo: Photo, camera: Camera, max_side: int, device: str) -> Target:
    """The photo reduced so that its longer side has at most ``max_side`` pixels, and its camera at that size."""
    scaled = reduced(camera, max_side)
    new_width, new_height = scaled.size
    rgb = torch.as_tensor(photo.rgb, device=device, dtype=torch.float32)
    if photo.mask is None:
        return Target(photo.camera, scaled, _area(rgb, new_height, new_width), None)
    mask = torch.as_tensor(photo.mask, device=device, dtype=torch.float32)[..., None]
    small = _area(torch.cat([rgb * mask, mask], -1), new_height, new_width)
    return Target(photo.camera, scaled, small[..., :3].contiguous(), small[..., 3].contiguous())
