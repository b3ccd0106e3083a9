"""One spelling per web address, so that a document keeps its id however it was linked."""

import re
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

import idna

from llm_engineering.domain.errors import InvalidInput

_PORTS = {"http": 80, "https": 443}
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|igshid|mc_[ce]id|_hs(?:enc|mi)",
    re.IGNORECASE,
)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"


def canonical_url(url: str, *, base: str | None = None) -> str:
    """`normal_url` without the parameters that only track who came from where."""
    parts = urlsplit(normal_url(url, base=base))
    kept = [pair for pair in parts.query.split("&") if not _TRACKING.fullmatch(_name(pair))]
    return urlunsplit(parts._replace(query="&".join(kept)))


def normal_url(url: str, *, base: str | None = None) -> str:
    """`url` (relative to `base`), fit to be asked for, in one spelling.

    Lower case scheme and host (IDNA), no default port, no dot segments, no fragment, escapes in
    upper case and only where needed; the path's own case and its last slash stay. Raises
    InvalidInput for what is no address of a web page.
    """
    try:
        parts = urlsplit(urljoin(base or "", url.strip()))
        port = parts.port
    except ValueError:
        raise InvalidInput(f"{url!r} is not a web address") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise InvalidInput(f"{url!r} is not a web address; it must start with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(f"the address at {parts.hostname!r} holds a user name; leave it out")
    host = _host(parts, url)
    netloc = host if port in (None, _PORTS[scheme]) else f"{host}:{port}"
    query = _escapes(quote(parts.query, safe=_PATH_SAFE + "?"))
    return urlunsplit((scheme, netloc, _path(parts.path), query, ""))


def same_site(one: str, other: str) -> bool:
    """Whether two canonical addresses have the same host, `www.` aside."""
    return _site(one) == _site(other)


def page_url(final: str, declared: str | None) -> str:
    """Where a page lives that was read at `final` and names `declared` as its canonical address.

    Only a declaration within the same site counts, and one that names the front page only on the
    front page: templates get that wrong, and it would make all pages one.
    """
    if declared is None:
        return final
    try:
        canonical = canonical_url(declared, base=final)
    except InvalidInput:
        return final
    to_front = urlsplit(canonical).path == "/" and urlsplit(final).path != "/"
    return canonical if same_site(canonical, final) and not to_front else final


def _site(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _host(parts: SplitResult, url: str) -> str:
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        return f"[{host}]"
    try:
        encoded = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        encoded = ""
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", encoded):
        raise InvalidInput(f"{url!r} has no valid host name")
    return encoded.lower()


def _path(path: str) -> str:
    """Without dot segments (RFC 3986 §5.2.4); empty segments mean something and stay."""
    *folders, last = _escapes(quote(path, safe=_PATH_SAFE)).split("/")
    kept: list[str] = []
    for segment in folders[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        del kept[-1:]
    return "/" + "/".join([*kept, "" if last in {".", ".."} else last])


def _name(pair: str) -> str:
    return unquote(pair.partition("=")[0])


def _escapes(text: str) -> str:
    """Upper case hexadecimal, and no escape where none is needed (RFC 3986 §6.2.2)."""

    def one(match: re.Match[str]) -> str:
        character = chr(int(match.group(1), 16))
        return character if character in _UNRESERVED else match.group().upper()

    return _ESCAPE.sub(one, text)
