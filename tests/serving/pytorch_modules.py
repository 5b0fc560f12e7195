"""The modules of the PyTorch cases: the file that goes into an archive beside the weights."""

import torch
from torch import nn


class Digits(nn.Module):
    """A small convolutional network on images of 8 by 8 pixels; ten scores."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.last = nn.Linear(2 * width * 4, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.first(image / 16.0)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.second(x)), 2)
        return self.last(x.flatten(1))


class Columns(nn.Module):
    """Named columns to one number."""

    def __init__(self, columns: int = 3, answers: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(columns, 8), nn.Tanh(), nn.Linear(8, answers))

    def forward(self, row: torch.Tensor) -> torch.Tensor:
        return self.layers(row)


class Mixed(nn.Module):
    """An image and a factor to two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Linear(4, 2)

    def forward(self, image: torch.Tensor, factor: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.weigh(image.flatten(1)) * factor
        return {"scores": scores, "total": scores.sum(1)}


class Tokens(nn.Module):
    """Sequences of token numbers to a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.last(self.embed(tokens).mean(1))
