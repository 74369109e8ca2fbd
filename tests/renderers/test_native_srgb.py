"""sRGB as kernels compute it is what torch computes."""

from dataclasses import replace

import torch

from dr_backend.geometry.flatten import FlatMaterial
from dr_backend.kernels.launch import shared_launcher
from dr_backend.raster.native.srgb import encode_texels, unencode_gradients
from dr_backend.raster.native.texture import layout_of, textures_of
from dr_backend.shading.textures import to_srgb


def image(values: torch.Tensor, encoded: bool) -> FlatMaterial:
    return FlatMaterial(torch.ones(3), values.view(1, -1, 3), encoded=encoded)


def test_texels_and_their_gradients():
    bright = torch.logspace(-4, 5, 2997)
    values = torch.cat([-bright[:1500], torch.zeros(1), torch.tensor([0.0031308, 0.0031309]), bright]).view(-1, 3).requires_grad_()
    plain = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    launcher = shared_launcher(torch.device("cpu"))
    materials = [image(plain, False), FlatMaterial(torch.ones(3)), image(values, True), image(plain, False)]
    texels = torch.cat([plain, values.detach(), plain])
    textures = textures_of(layout_of(materials, texels.device), torch.ones(4, 3), texels, launcher)
    launcher.run(encode_texels(textures, launcher))
    expected = to_srgb(values)
    assert torch.equal(textures.texels[:40], plain)
    assert torch.equal(textures.texels[-40:], plain)
    assert torch.allclose(textures.texels[40:-40], expected.detach(), rtol=2e-6, atol=1e-7)
    assert torch.equal(textures.linear, texels)

    gradients = torch.randn(texels.shape, generator=torch.Generator().manual_seed(1))
    (wanted,) = torch.autograd.grad(expected, values, gradients[40:-40])
    found = gradients.clone()
    launcher.run(unencode_gradients(textures, found, launcher))
    assert torch.allclose(found[40:-40], wanted, rtol=3e-6, atol=1e-7)
    assert torch.equal(found[:40], gradients[:40])
    assert torch.equal(found[-40:], gradients[-40:])


def test_only_encoded_images_are_copied():
    texels = torch.rand(6, 3)
    for encoded in (False, True):
        layout = layout_of([image(texels, encoded)], texels.device)
        textures = textures_of(layout, torch.ones(1, 3), texels, shared_launcher(texels.device))
        assert (textures.texels is texels) is not encoded
        assert replace(textures).linear is texels
