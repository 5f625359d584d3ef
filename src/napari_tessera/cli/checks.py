"""What `doctor` looks at: each check returns findings, and never fails itself."""

import ctypes
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]
"""A problem keeps the main job from running; a note is something that can be done without."""

PYTORCH_PAGE = "https://pytorch.org/get-started/locally/"
GUI_REMEDY = 'pip install "napari-tessera[all]"'
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5")
LOW_MEMORY = 4 * 2**30
LOW_DISK = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    name, value
        What was looked at and what was found.
    state
        Whether something is missing.
    remedy
        What to do about it; empty if nothing needs to be done.
    """

    name: str
    value: str
    state: State = "ok"
    remedy: str = ""


def check_versions() -> list[Finding]:
    """Return the versions of Python, this package and what it computes with."""
    findings = [
        Finding("python", f"{platform.python_version()} on {platform.platform()}"),
        Finding("napari-tessera", _version("napari-tessera") or "not installed as a package"),
    ]
    for name in ("numpy", "scikit-image", "zarr", "tifffile"):
        version = _version(name)
        if version:
            findings.append(Finding(name, version))
        else:
            findings.append(Finding(name, "missing", "problem", f"pip install {name}"))
    return findings


def check_torch() -> list[Finding]:
    """Return torch's version and the devices that it sees; this imports torch."""
    try:
        from napari_tessera.nn.devices import describe_devices

        devices = describe_devices()
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        return [Finding("torch", f"cannot be loaded: {reason}", "problem", f"install it as {PYTORCH_PAGE} says")]
    findings = [Finding("torch", devices.pop("torch"))]
    if devices:
        return findings + [Finding(f"GPU {name}", text) for name, text in devices.items()]
    cards = _nvidia_cards()
    if cards:
        remedy = f"install a build of PyTorch for CUDA, and a driver that suits it: {PYTORCH_PAGE}"
        return [*findings, Finding("GPU", f"{cards}, but this PyTorch cannot use it", "note", remedy)]
    remedy = f"none needed; with an NVIDIA card, install PyTorch for CUDA: {PYTORCH_PAGE}"
    return [*findings, Finding("GPU", "none found: training and prediction run on the processor", "note", remedy)]


def check_window() -> list[Finding]:
    """Return what napari's window needs: napari, a Qt binding, a display and OpenGL."""
    findings = [_installed(name) for name in ("napari", "qtpy", "superqt")]
    display = describe_display()
    missing = "log in with a desktop, set DISPLAY, or start the program with xvfb-run"
    findings.append(Finding("display", display) if display else Finding("display", "none", "note", missing))
    if all(finding.state == "ok" for finding in findings):
        return findings + _probe_qt()
    bindings = [f"{name} {_version(name)}" for name in QT_BINDINGS if _version(name)]
    return [*findings, Finding("Qt", ", ".join(bindings)) if bindings else Finding("Qt", "none", "note", GUI_REMEDY)]


def check_computer() -> list[Finding]:
    """Return processors, memory and the space for temporary files."""
    findings = [Finding("processors", str(os.cpu_count() or "unknown"))]
    memory = total_memory()
    if memory is not None:
        low = memory < LOW_MEMORY
        remedy = "close other programs, and predict with a small --tile" if low else ""
        findings.append(Finding("memory", f"{memory / 2**30:.1f} GiB", "note" if low else "ok", remedy))
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    low = free < LOW_DISK
    remedy = "free some space, or set TMPDIR to a folder on another disk" if low else ""
    space = f"{folder}, {free / 2**30:.1f} GiB free"
    findings.append(Finding("temporary files", space, "note" if low else "ok", remedy))
    return findings


def describe_display() -> str:
    """Return the name of the screen that a window would open on; empty if there is none."""
    if sys.platform in {"win32", "darwin"}:
        return "desktop"
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or ""


def window_obstacle() -> str:
    """Return in a few words why napari cannot open here; empty if nothing speaks against it."""
    if not describe_display():
        return "there is no display"
    for name in ("napari", "qtpy"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    return ""


def total_memory() -> int | None:
    """Return the memory of the computer in bytes, or None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _windows_memory() -> int | None:
    """Return what GetPhysicallyInstalledSystemMemory says, in bytes."""
    kilobytes = ctypes.c_ulonglong(0)
    windows = getattr(ctypes, "windll", None)
    if windows is None or not windows.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes)):
        return None
    return kilobytes.value * 1024


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _installed(name: str) -> Finding:
    version = _version(name)
    return Finding(name, version) if version else Finding(name, "not installed", "note", GUI_REMEDY)


def _nvidia_cards() -> str:
    """Return the names of NVIDIA cards that the driver knows; empty if there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        listing = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(line.partition(" (UUID")[0] for line in listing.stdout.splitlines() if line.startswith("GPU"))


_QT_PROBE = """
import json
from qtpy import API_NAME, QT_VERSION, QtGui
found = {"binding": API_NAME + " " + str(QT_VERSION), "opengl": ""}
application = QtGui.QGuiApplication([])
surface, context = QtGui.QOffscreenSurface(), QtGui.QOpenGLContext()
surface.create()
if context.create() and context.makeCurrent(surface):
    found["opengl"] = "%d.%d" % (context.format().majorVersion(), context.format().minorVersion())
    try:
        from OpenGL.GL import GL_RENDERER, glGetString
        found["opengl"] += " on " + glGetString(GL_RENDERER).decode()
    except (ImportError, AttributeError):
        pass
print(json.dumps(found))
"""


def _probe_qt() -> list[Finding]:
    """Start Qt and OpenGL in a process of their own: where libraries are missing, Qt aborts."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _QT_PROBE], capture_output=True, text=True, timeout=60, check=False
        )
        found = json.loads(probe.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return [Finding("Qt", "does not answer", "note", "check that the display can be reached")]
    except (IndexError, ValueError):
        said = next((line for line in reversed(probe.stderr.splitlines()) if line.strip()), "it ended without a word")
        remedy = f"{GUI_REMEDY}; on Debian or Ubuntu also: apt-get install libegl1 libgl1 libxcb-cursor0"
        return [Finding("Qt", f"cannot start: {said[:200]}", "note", remedy)]
    if not found["opengl"]:
        remedy = "update the graphics driver; on Debian or Ubuntu: apt-get install libgl1-mesa-dri"
        return [Finding("Qt", found["binding"]), Finding("OpenGL", "no context", "note", remedy)]
    return [Finding("Qt", found["binding"]), Finding("OpenGL", found["opengl"])]
