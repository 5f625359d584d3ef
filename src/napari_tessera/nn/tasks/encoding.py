"""From scores to results whose last bit does not depend on where a pixel lies."""

import math

import torch
from torch import Tensor

from napari_tessera.core.tiles import round_up
from napari_tessera.nn.tasks.base import Output

_SOFTMAX_BLOCK = 2048
"""At least what torch gives to one thread, and a whole number of vectors."""

_DTYPES = {"float32": torch.float32, "float16": torch.float16}


def encode_classes(scores: Tensor, output: Output) -> Tensor:
    """Turn class scores (n, classes, …) into class indices (n, …) or probabilities (n, classes, …).

    Of equal scores the class that comes first wins.
    """
    if output == "classes":
        if scores.shape[1] == 2:  # twenty times as fast
            return (scores[:, 1] > scores[:, 0]).to(torch.uint8)
        return scores.argmax(dim=1).to(torch.uint8 if scores.shape[1] <= 256 else torch.int32)
    probabilities = _softmax(scores)
    if output == "uint8":
        return torch.round(probabilities * 255).to(torch.uint8)
    return probabilities.to(_DTYPES[output])


def _softmax(scores: Tensor) -> Tensor:
    """Return the softmax over classes in float32, whose last bit does not depend on where a pixel lies.

    On the CPU torch takes the last pixels of an image, and of each thread's share, through a scalar function that
    rounds otherwise than the vector one; so they are continued to whole vectors per thread.
    """
    if scores.device.type != "cpu":
        return torch.softmax(scores.float(), dim=1)
    pixels = math.prod(scores.shape[2:])
    length = round_up(pixels, _SOFTMAX_BLOCK * torch.get_num_threads())
    padded = torch.zeros((*scores.shape[:2], length), dtype=torch.float32)
    padded[:, :, :pixels].view(scores.shape).copy_(scores)
    return torch.softmax(padded, dim=1)[:, :, :pixels].view(scores.shape)
