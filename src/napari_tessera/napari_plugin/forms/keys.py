"""What the keys are called on this computer."""

import sys

MAC = sys.platform == "darwin"
CONTROL = "Cmd" if MAC else "Ctrl"
ALT = "Option" if MAC else "Alt"
