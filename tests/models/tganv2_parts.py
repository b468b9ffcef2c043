"""Tiny TGANv2 networks for the tests."""

from dataclasses import replace

import torch

from mediagen.core.clips import CHUNK
from mediagen.models.tganv2 import TINY, Generator, Objective
from mediagen.nn.residual3d import LevelCritics

torch.set_num_threads(1)
KINDS = ["convlstm", "ode", "ode2", "ode3", "sde"]
CPU, META = torch.device("cpu"), torch.device("meta")


def count(module):
    return sum(p.numel() for p in module.parameters())


def objective(**settings):
    torch.manual_seed(0)
    return Objective(replace(TINY, **settings), CPU)


def batch(config, clips=4):
    rng = torch.Generator().manual_seed(5)
    values = torch.rand(clips, config.frames, config.height, config.width, 3, generator=rng) * 2 - 1
    return {"clips": values.permute(0, 4, 1, 2, 3), "labels": torch.arange(clips) % max(1, config.categories)}


def iterate(made, number=0):
    """One iteration's losses by phase, with a backward pass into each phase's network."""
    losses = {}
    for k, phase in enumerate(made.phases(number)):
        network = made.networks[phase.optimizer]
        loss, scalars = phase.loss(batch(made.config), torch.Generator().manual_seed(k))
        loss.backward(inputs=list(network.parameters()))
        losses[phase.name] = loss.item(), {name: value.item() for name, value in scalars.items()}
    return losses


def player(**settings):
    """A generator in eval mode whose norms have statistics of their own."""
    torch.manual_seed(1)
    generator = Generator(replace(TINY, **settings))
    for name, buffer in generator.named_buffers():
        buffer.normal_(0, 0.1) if "mean" in name else buffer.uniform_(0.5, 1.5)
    return generator.eval().requires_grad_(False)


def play(generator, request, frames):
    state, made = generator.start(request), []
    while len(made) * CHUNK < frames:
        state, piece = generator.step(state, CHUNK)
        made.append(piece)
    return torch.cat(made)[:frames]


def critics_of(config):
    return LevelCritics(config.levels, config.critic_channels, config.categories, image=config.image_critic)
