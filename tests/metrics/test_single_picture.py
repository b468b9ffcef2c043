import pytest
import torch

from mediagen.metrics.single_picture import diversity, frechet, patch_distance, sifid, smoothness


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_copies_have_no_diversity_and_shuffled_pixels_have_all():
    picture = torch.randn(3, 20, 30, generator=rng())
    assert diversity(picture.expand(10, -1, -1, -1), picture) == pytest.approx(0.0, abs=1e-6)
    shuffled = picture.flatten()[torch.stack([torch.randperm(1800, generator=rng(s)) for s in range(200)])]
    assert diversity(shuffled.view(200, 3, 20, 30), picture) == pytest.approx(1.0, abs=0.02)


def test_the_patch_distance_is_zero_for_the_picture_and_grows_with_noise():
    picture = torch.nn.functional.interpolate(torch.randn(1, 3, 6, 9, generator=rng()), (40, 60), mode="bicubic")[0]
    noise = torch.randn(4, 3, 40, 60, generator=rng(1))
    found = [patch_distance(picture + s * noise, picture) for s in (0.0, 0.2, 1.0)]
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[0] < found[1] < found[2]
    assert patch_distance((picture + noise)[..., :50], picture) > 0


def test_frechet_of_two_normal_clouds_is_the_closed_form():
    first = torch.randn(200_000, 2, generator=rng(), dtype=torch.float64)
    second = torch.randn(200_000, 2, generator=rng(1), dtype=torch.float64) * torch.tensor([2.0, 1.0]) + torch.tensor(
        [3.0, 0.0]
    )
    assert frechet(first, second) == pytest.approx(9 + (2 - 1) ** 2, rel=0.02)
    assert frechet(first, first) == pytest.approx(0.0, abs=1e-9)


def test_sifid_takes_the_user_s_features():
    picture = torch.randn(3, 16, 16, generator=rng())
    pooled = lambda x: torch.nn.functional.avg_pool2d(x, 2)  # noqa: E731
    copies = picture.expand(2, -1, -1, -1)
    assert sifid(picture, copies, pooled) == pytest.approx(0.0, abs=1e-6)
    assert sifid(picture, copies + 1.0, pooled) == pytest.approx(3.0, rel=1e-3)
    both = torch.stack([picture, picture + 1.0])
    assert sifid(picture, both, pooled) == pytest.approx(1.5, rel=1e-3)
    assert sifid(picture, both, pooled, least=True) == pytest.approx(0.0, abs=1e-6)


def test_smoothness_is_the_slope_of_the_way():
    first, last = torch.zeros(3, 4, 5), torch.full((3, 4, 5), 0.5)
    shares = [0.1, 0.3, 0.9]
    way = [torch.lerp(first, last, share) for share in shares]
    assert smoothness(way, shares) == pytest.approx(3 * 0.5)
