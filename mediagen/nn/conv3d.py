"""3D convolutions of clips of few frames."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """torch's, (B, C, T, H, W) -> (B, C', T', H', W'); clips of fewer frames than its kernel has are treated apart.

    A single frame meets the kernel's middle alone, which takes less than half the time. For a few, time is padded
    beforehand: there, on a CPU and in bf16, oneDNN's gradient of the weights is not what it should be (torch 2.13; two frames,
    kernel 3, padding 1): taps are summed wrongly or hold what lay in memory before, now and then NaN.
    """

    def forward(self, x: Tensor) -> Tensor:
        assert not isinstance(self.padding, str)
        time, height, width = self.padding
        frames, kernel, weight = x.shape[2], self.kernel_size[0], self.weight
        if frames >= kernel:
            return super().forward(x)
        if frames == 1 and kernel == 2 * time + 1:
            weight = weight[:, :, time : time + 1]
        else:
            x = F.pad(x, (0, 0, 0, 0, time, time))
        return F.conv3d(x, weight, self.bias, self.stride, (0, height, width), self.dilation, self.groups)
