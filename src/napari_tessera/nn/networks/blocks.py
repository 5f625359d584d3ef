"""What networks are built of; the names of the parts stand in files of weights."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from napari_tessera.nn.networks.normalization import Normalization, fold_normalization, make_normalization

CONVOLUTIONS: Mapping[int, type[nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
"""By the number of spatial dimensions, as the tables below."""

TRANSPOSED: Mapping[int, type[nn.ConvTranspose2d | nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLS: Mapping[int, type[nn.MaxPool2d | nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class ConvUnit(nn.Module):
    """Convolution over 3 pixels per dimension, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, dimensions: int, normalization: Normalization) -> None:
        super().__init__()
        self.conv = CONVOLUTIONS[dimensions](inputs, outputs, 3, padding=1, bias=normalization == "none")
        self.norm = make_normalization(normalization, outputs, dimensions)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, …) to (n, outputs, …) of the same size."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Put the normalisation into the convolution; afterwards the unit is fit for prediction only."""
        self.conv = fold_normalization(self.conv, self.norm)
        self.norm = nn.Identity()


class Upsampling(nn.Module):
    """Double the size of each spatial dimension and halve the number of features."""

    def __init__(self, inputs: int, dimensions: int, kind: str) -> None:
        super().__init__()
        outputs = inputs // 2
        self.enlarge: nn.Module
        if kind == "transposed":
            self.enlarge = TRANSPOSED[dimensions](inputs, outputs, 2, stride=2)
        else:
            mode = "bilinear" if dimensions == 2 else "trilinear"
            self.enlarge = nn.Sequential(
                CONVOLUTIONS[dimensions](inputs, outputs, 1),
                nn.Upsample(scale_factor=2, mode=mode, align_corners=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, …) to (n, inputs // 2, …) of twice the size."""
        enlarged: Tensor = self.enlarge(x)
        return enlarged
