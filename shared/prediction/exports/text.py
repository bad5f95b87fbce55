"""Text fit for XML, which every workbook is made of too."""

import re

# Everything that XML 1.0 cannot hold, not even escaped: control characters, lone surrogates, and two non-characters.
_UNLAWFUL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"


def lawful(text: str) -> str:
    """Return text with U+FFFD in place of each character that XML cannot hold."""
    return _UNLAWFUL.sub(_REPLACEMENT, text)
