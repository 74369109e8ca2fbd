import pytest
import torch

from dr_backend.optim import Adam, AdamUniform
from dr_backend.parameterizations import LargeSteps, Pyramid
from tests.scenes import uv_sphere


@pytest.fixture
def ball():
    positions, faces, _ = uv_sphere(24, 12)
    return torch.from_numpy(positions), torch.from_numpy(faces).long()


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 20.0, 400.0])
def test_large_steps_round_trip(ball, smoothing):
    positions, faces = ball
    parameterization = LargeSteps(faces, len(positions), smoothing)
    again = parameterization.to_value(parameterization.to_latents(positions))
    assert torch.allclose(again, positions, atol=2e-5)


def test_large_steps_leaves_loose_vertices_alone(ball):
    positions, faces = ball
    loose = torch.cat([positions, torch.tensor([[7.0, 8.0, 9.0]])])
    parameterization = LargeSteps(faces, len(loose), 50.0)
    latents = parameterization.to_latents(loose)
    assert torch.equal(latents[0][-1], loose[-1])
    assert torch.allclose(parameterization.to_value(latents)[-1], loose[-1])


def test_large_steps_survives_degenerate_and_non_manifold_faces(ball):
    positions, faces = ball
    odd = torch.cat([faces, torch.tensor([[0, 0, 1], [0, 2, 9], [0, 2, 17]])])
    parameterization = LargeSteps(odd, len(positions), 10.0)
    assert torch.allclose(parameterization.to_value(parameterization.to_latents(positions)), positions, atol=2e-5)


def test_large_steps_gradient_is_the_transposed_solve(ball):
    positions, faces = ball
    parameterization = LargeSteps(faces, len(positions), 10.0)
    latent = parameterization.to_latents(positions)[0].requires_grad_()
    direction, weight = torch.randn_like(latent), torch.randn_like(positions)
    (parameterization.to_value([latent]) * weight).sum().backward()
    analytic = (latent.grad * direction).sum()
    # the map is linear: a finite difference of any length is exact
    difference = ((parameterization.to_value([latent.detach() + direction]) - parameterization.to_value([latent.detach()])) * weight).sum()
    assert torch.isclose(analytic, difference, rtol=1e-3)


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (256, 256), (1, 5)])
def test_pyramid_round_trip(size):
    image = torch.rand(*size, 3)
    parameterization = Pyramid(*size)
    assert torch.allclose(parameterization.to_value(parameterization.to_latents(image)), image, atol=1.5e-3)


def test_pyramid_coarse_level_reaches_every_texel():
    parameterization = Pyramid(256, 256)
    latents = parameterization.to_latents(torch.full((256, 256, 3), 0.5))
    latents[-1] += 0.1
    assert float(parameterization.to_value(latents).min()) > 0.5


def test_pyramid_enlarges_as_torch_does_between_the_middles_of_texels():
    parameterization = Pyramid(64, 128)
    latents = [torch.zeros(64, 128, 3), torch.randn(16, 32, 3)]
    expected = torch.nn.functional.interpolate(latents[1].permute(2, 0, 1)[None], scale_factor=4, mode="bilinear", align_corners=False)
    assert parameterization.sizes == [(64, 128), (16, 32)]
    assert torch.allclose(parameterization.to_value(latents), expected[0].permute(1, 2, 0).sigmoid(), atol=1e-6)


def test_a_shrunk_pyramid_keeps_the_detail_of_its_image():
    image = 0.1 + 0.8 * torch.rand(64, 128, 3)
    parameterization = Pyramid(64, 128, shrink=4)
    latents = parameterization.to_latents(image)
    means = image.view(16, 4, 32, 4, 3).mean((1, 3))
    assert torch.allclose(parameterization.to_value(latents), means, atol=1e-6), "texels are means"
    assert torch.allclose(parameterization.to_leaf(latents), image, atol=1e-6)
    latents[-1] += 0.5
    changed = parameterization.to_leaf(latents)
    assert changed.shape == image.shape
    assert torch.allclose(changed.logit() - image.logit(), torch.tensor(0.5), atol=1e-4)
    turned = image.permute(2, 0, 1).contiguous().permute(1, 2, 0)  # the same texels, otherwise in memory
    assert all(map(torch.equal, parameterization.to_latents(turned), parameterization.to_latents(image)))


def test_pyramid_gradient_matches_finite_differences():
    parameterization = Pyramid(43, 36)
    latents = [x.double().requires_grad_() for x in parameterization.to_latents(torch.rand(43, 36, 3))]
    weight = torch.randn(43, 36, 3, dtype=torch.float64)
    gradients = torch.autograd.grad((parameterization.to_value(latents) * weight).sum(), latents)
    for k in range(len(latents)):
        step = torch.zeros_like(latents[k])
        step.view(-1)[5] = 1e-6
        moved = [x.detach() + (step if i == k else 0) for i, x in enumerate(latents)]
        back = [x.detach() - (step if i == k else 0) for i, x in enumerate(latents)]
        difference = ((parameterization.to_value(moved) - parameterization.to_value(back)) * weight).sum() / 2e-6
        assert torch.isclose(gradients[k].reshape(-1)[5], difference, rtol=1e-5)


def test_adam_uniform_keeps_the_direction_and_length_of_a_step():
    x = torch.zeros(5, 3, requires_grad=True)
    optimizer = AdamUniform([x], rate=0.1)
    x.grad = torch.tensor([[1.0, 0.0, 0.0]] * 4 + [[0.25, 0.0, 0.0]])
    optimizer.step()
    assert torch.allclose(x[0], torch.tensor([-0.1, 0.0, 0.0]))
    assert torch.allclose(x[4], torch.tensor([-0.025, 0.0, 0.0]))


def test_adam_uniform_ignores_zero_gradients():
    x = torch.ones(2, 3, requires_grad=True)
    optimizer = AdamUniform([x], rate=0.1)
    x.grad = torch.zeros_like(x)
    optimizer.step()
    assert torch.equal(x.detach(), torch.ones(2, 3))


def test_adam_does_what_torchs_does():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = ([torch.ones(3, 2, requires_grad=True), torch.ones(4, requires_grad=True)] for _ in range(2))
    adam, expected = Adam(ours, 0.1), torch.optim.Adam(theirs, 0.1, betas=(0.8, 0.95))
    for step in range(4):
        adam.rate = expected.param_groups[0]["lr"] = 0.1 / (step + 1)
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        if step == 2:
            ours[1].grad = theirs[1].grad = None
        adam.step()
        expected.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q)
