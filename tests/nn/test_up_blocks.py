"""Up blocks against their plain form, and batch norms that know classes."""

import pytest
import torch
import torch.nn.functional as F

from mediagen.nn.conditional_norm import BatchNorm
from mediagen.nn.up_blocks import UpBlock, folded, unfolded, unpool, unpooled_convolution


def test_an_unpooled_convolution_equals_unpooling_and_convolving_with_its_gradients():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 4, dtype=torch.double, requires_grad=True)
    w, b = torch.randn(7, 5, 3, 3, dtype=torch.double, requires_grad=True), torch.randn(7, dtype=torch.double)
    made, plain = unpooled_convolution(x, w, b), F.conv2d(unpool(x), w, b, padding=1)
    torch.testing.assert_close(made, plain)
    weights = torch.randn_like(plain)
    for one, other in zip(
        torch.autograd.grad((made * weights).sum(), (x, w)), torch.autograd.grad((plain * weights).sum(), (x, w)), strict=True
    ):  # fmt: skip
        torch.testing.assert_close(one, other)


def test_an_up_block_equals_its_plain_form():
    torch.manual_seed(0)
    block, x = UpBlock(6, 4, 0), torch.randn(3, 6, 4, 5)
    main = block.conv1(unpool(F.relu(block.norm1(x))))
    plain = block.conv2(F.relu(block.norm2(main))) + block.shortcut(unpool(x))
    torch.testing.assert_close(block(x, None), plain, rtol=1e-4, atol=1e-5)


def test_frames_are_folded_clip_by_clip():
    maps = torch.arange(2 * 3).float().reshape(2, 3, 1, 1, 1).expand(2, 3, 4, 2, 2)
    assert folded(maps)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(unfolded(folded(maps), 2), maps.transpose(1, 2))


@pytest.mark.parametrize("classes", [0, 3])
def test_batch_norm_equals_torchs_where_all_classes_are_alike(classes):
    torch.manual_seed(0)
    norm, other = BatchNorm(4, classes), torch.nn.BatchNorm2d(4, eps=2e-5)
    labels = torch.tensor([0, 2, 1, 1, 0]) if classes else None
    for _ in range(2):
        x = torch.randn(5, 4, 3, 3) * 2 + 1
        torch.testing.assert_close(norm(x, labels), other(x))
    torch.testing.assert_close(norm.eval()(x, labels), other.eval()(x))
    torch.testing.assert_close(norm.running_var, other.running_var)


def test_each_class_has_a_scale_and_shift_of_its_own():
    norm = BatchNorm(2, 3)
    norm.scale.data = torch.tensor([[1.0, 1.0], [2.0, 3.0], [0.0, 0.0]])
    norm.shift.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 6.0]])
    x = torch.randn(4, 2, 3, 3)
    plain = F.batch_norm(x, torch.zeros(2), torch.ones(2), training=True, eps=norm.eps)
    made = norm(x, torch.tensor([0, 1, 2, 0]))
    torch.testing.assert_close(made[0], plain[0])
    torch.testing.assert_close(made[1, 0], 2 * plain[1, 0] + 1)
    torch.testing.assert_close(made[1, 1], 3 * plain[1, 1])
    assert made[2, 0].unique().tolist() == [5.0]
