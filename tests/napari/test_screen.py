"""The tests of the window run where it is drawn: on Qt's platforms without a screen much passes that is not seen."""

import pytest

pytestmark = pytest.mark.gui


def test_windows_are_on_a_screen(qapp):
    assert qapp.platformName() not in ("offscreen", "minimal"), "run it with .ci/with-display; is QT_QPA_PLATFORM set?"
