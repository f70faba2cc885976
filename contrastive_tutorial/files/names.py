"""Names that come from files: shown in one line of ours, cleaned, decoded, or made safe for a disk.

>>> safe_name("archive (1)"), safe_name("a/b: \\x07")
('archive (1)', 'a_b_ _')
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_LONGEST = 80  # characters of a safe name; at most 4 bytes each, where a folder may have 255
_NO_FILE_NAME = set('/\\<>:"|?*')  # what some system refuses in the name of a folder
#: Of each code: the lead bytes of its most used characters, in the order in which they are tried.
_LEGACY = {
    "gb18030": range(0xB0, 0xD8),  # GB 2312, level 1
    "cp932": (*range(0x88, 0x99), 0x81, 0x82, 0x83),  # JIS X 0208, level 1; kana and signs
    "big5": range(0xA4, 0xC7),
}


def shown(name: object) -> str:
    """A name or message that comes from a file, made fit for one line of ours."""
    text = "/".join(name) if isinstance(name, tuple) else str(name)
    text = "".join(
        c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return text if len(text) <= 100 else f"{text[:60]}...{text[-30:]}"


def clean(text: str) -> str:
    """One form for every name that looks the same.

    Composed (NFC), any kind of space an ordinary one, no invisible format characters, no space at
    the ends. Control characters and bytes that are no text stay: whoever calls decides.
    """
    if text.isascii():
        return text.strip(" ")
    visible = (c for c in text if unicodedata.category(c) != "Cf")
    spaced = "".join(" " if unicodedata.category(c)[0] == "Z" else c for c in visible)
    return unicodedata.normalize("NFC", spaced).strip(" ")


def safe_name(text: str) -> str:
    """The name of a data set as records and folders carry it; a safe name stays as it is.

    Letters of every language, digits, spaces and most signs stay. What some system takes for a
    path or cannot show becomes ``_``, dots at the ends go (such folders are hidden, or refused),
    and 80 characters are enough.
    """
    kept = "".join("_" if c in _NO_FILE_NAME or not c.isprintable() else c for c in clean(text))
    return kept.strip(" .")[:_LONGEST].strip(" .") or "images"


def legacy_code(names: Sequence[bytes]) -> str:
    """The code that the names in a zip are most likely written in, if the zip does not say.

    UTF-8 where all of them are. Else the one of GBK, Shift-JIS and Big5 in which most characters
    are common ones, if that is most of them; else code page 437, which the format prescribes.

    >>> legacy_code([name.encode("gbk") for name in ("猫/1.jpg", "狗/2.jpg")])
    'gb18030'
    >>> legacy_code([name.encode("cp932") for name in ("ねこ/1.jpg", "犬/2.jpg")])
    'cp932'
    """
    whole = b"/".join(names)
    scores = {"cp437": 0.5, "utf-8": 2.0}
    for code, common in _LEGACY.items():
        scores[code] = _share_of_common(whole, code, common)
    for code in sorted(scores, key=scores.__getitem__, reverse=True):
        try:
            for name in names:
                name.decode(code)
        except UnicodeDecodeError:
            continue
        return code
    return "cp437"  # which decodes everything


def _share_of_common(content: bytes, code: str, common: Sequence[int]) -> float:
    """Of the characters beyond ASCII, how many are among the most used ones of this code.

    A pair whose second byte is a letter, with a letter beside it, is none: more likely the first
    byte is an accented letter of a western word.
    """
    text = content.decode(code, "ignore")
    wide = [i for i, c in enumerate(text) if not c.isascii()]
    good = 0
    for i in wide:
        written = text[i].encode(code)
        beside = text[i - 1 : i] + text[i + 1 : i + 2]
        western = written[-1:].isalpha() and any(c.isascii() and c.isalpha() for c in beside)
        good += len(written) == 2 and written[0] in common and not western
    return good / max(1, len(wide))
