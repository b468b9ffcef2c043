"""3D convolutions of clips of few frames."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """torch's, but it pads time beforehand where there are fewer frames than the kernel has.

    There, on a CPU and in bf16, oneDNN's gradient of the weights is not what it should be (torch 2.13; two frames, kernel 3,
    padding 1): taps are summed wrongly or hold what lay in memory before, now and then NaN.
    """

    def forward(self, x: Tensor) -> Tensor:
        assert not isinstance(self.padding, str)
        time, height, width = self.padding
        if x.shape[2] >= self.kernel_size[0]:
            return super().forward(x)
        x = F.pad(x, (0, 0, 0, 0, time, time))
        return F.conv3d(x, self.weight, self.bias, self.stride, (0, height, width), self.dilation, self.groups)
