"""Bytes to text without losing a quote: windows-1252 pages call themselves ISO-8859-1."""

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,100}?encoding=["']([\w.:-]+)""",
    re.IGNORECASE,
)
_LOOKED_AT = 4_096
"""Bytes in which a declaration counts; browsers stop at 1,024, pages do not."""
_AS_BROWSERS_READ = {"iso8859-1": "windows-1252", "ascii": "windows-1252", "gb2312": "gb18030"}
"""WHATWG Encoding §4.2: labels that mean another encoding on the web."""


def decode(body: bytes, *, charset: str | None = None, declared: bool = True) -> str:
    """`body` as text: by its byte order mark, else as UTF-8 where it is that, else as named.

    `charset` is what HTTP says; with `declared` a <meta> or XML declaration in the body counts
    too. Bytes that mean nothing there become U+FFFD; nothing is ever refused.
    """
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return _clean(body[len(mark) :].decode(encoding, "replace"))
    names = [charset, _declaration(body) if declared else None]
    encodings = [found for name in names if name and (found := _encoding(name))]
    if not any(encoding.startswith(("utf-16", "utf-32")) for encoding in encodings):
        try:
            return _clean(body.decode("utf-8"))
        except UnicodeDecodeError:
            encodings = [encoding for encoding in encodings if encoding != "utf-8"]
    for encoding in encodings:
        try:
            return _clean(body.decode(encoding))
        except UnicodeDecodeError:
            continue
    return _clean(body.decode(encodings[0] if encodings else _fallback(body), "replace"))


def well_formed(text: str) -> str:
    """`text` without lone surrogates, which are no Unicode text and cannot be stored."""
    return text if text.isascii() else text.encode("utf-8", "ignore").decode()


def _fallback(body: bytes) -> str:
    """UTF-8 with a few broken bytes (a cut page) or windows-1252, whose bytes rarely pair up."""
    high = sum(byte >= 0x80 for byte in body)
    broken = body.decode("utf-8", "replace").count("\ufffd")
    return "utf-8" if broken * 10 < high else "windows-1252"


def _declaration(body: bytes) -> str | None:
    match = _DECLARED.search(body[:_LOOKED_AT])
    return (match.group(1) or match.group(2)).decode("ascii") if match else None


def _encoding(name: str) -> str | None:
    """The Python codec for a label; None for an unknown one or one that is not for text."""
    try:
        codec = codecs.lookup(name.strip().strip("\"'"))
        "".encode(codec.name)
    except (LookupError, ValueError):
        return None
    return _AS_BROWSERS_READ.get(codec.name, codec.name)


def _clean(text: str) -> str:
    return text.replace("\0", "")
