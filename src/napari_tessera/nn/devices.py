"""Where a network runs."""

import torch

from napari_tessera.core.errors import InvalidInputError


def choose_device(name: str) -> torch.device:
    """Return the device that `name` (``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``) stands for on this computer.

    Raises
    ------
    InvalidInputError
        If the device is not there.
    """
    if name == "auto":  # Apple GPUs only when asked for: whether they give the same results has not been measured
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda"):
        wanted = torch.device(name)
        if not torch.cuda.is_available() or (wanted.index or 0) >= torch.cuda.device_count():
            raise InvalidInputError(
                f"There is no device {name}: choose auto or cpu, or run `napari-tessera doctor` to see what is missing."
            )
        return wanted
    if name == "mps" and not torch.backends.mps.is_available():
        raise InvalidInputError("There is no Apple GPU (mps) here: choose auto or cpu.")
    return torch.device(name)


def describe_devices() -> dict[str, str]:
    """Return what torch sees: its version, and name and memory of each GPU."""
    found = {"torch": str(torch.__version__)}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are native to `device`, and so worth training with."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions lack it
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False
