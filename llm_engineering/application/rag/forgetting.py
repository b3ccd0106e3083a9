"""Whether a reader asks to have something forgotten, and what. English only.

Not every sentence with "forget" in it is such a wish: "did you forget X?" asks, "forget about that
and tell me …" turns to something else. What is erased cannot be brought back, so a doubtful
sentence is none, unless it names what is clearly the reader's own: "my …", "what I said …".

Every pattern either begins where it is matched or has words of its own at its start, and repeats
possessively or a few times: hostile texts take time in proportion to their length.
Does not know: conversations, what was said in them.
"""

import re
from dataclasses import dataclass

from llm_engineering.application.sentences import sentence_spans


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be forgotten."""

    about: tuple[str, ...] = ()
    """Each in the reader's words, such as 'my name'."""
    everything: bool = False
    last: bool = False
    """What the reader said just before."""


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_SAID = (
    r"(?:(?:really |absolutely )?(?:everything|all|anything|whatever|what|things|the things?) "
    r"(?:that )?(?:i|we)(?:['’]ve|['’]d| have| had)?(?: just| ever| once)? "
    r"(?:said|told|mentioned|wrote|written|shared|asked|typed)\b(?: to)?(?: you)?)"
)
_KNOWN = (
    r"(?:(?:everything|all|anything|whatever|what) (?:that )?you (?:know|remember|have|keep|kept|"
    r"learned|learnt|stored|saved)(?: about| of| on)? (?:me|us)\b)"
)
_SOFTLY = r"(?: (?:please|kindly|just|now|also))*+ "
_LEAD = _pattern(
    r"(?:(?:hi|hello|hey|ok|okay|so|well|and|but|now|no|sorry|actually|btw|by the way|then|just"
    r"|thanks|thank you|kindly|please)\b[,!.:]*+ ?+)*+"
)
_ASKS = _pattern(
    rf"(?:(?P<can>can|could|would) you(?! mind\b){_SOFTLY}|will you please "
    rf"|(?:i|we)(?:['’]d| would) (?:like|love|prefer)(?: for)? you to{_SOFTLY}"
    rf"|(?:i|we) (?:want|need|ask) you to{_SOFTLY}|you (?:can|may|should|must)(?: please| now)? )"
)
_FORGETS = _pattern(
    r"(?:forget(?: again| now| please)?|would you mind forgetting"
    r"|(?:do not|don['’]?t) remember(?! how\b)|(?:stop|would you mind not) remembering) "
)
_DELETES = _pattern(
    r"(?:(?:delete|erase|remove|wipe|clear)|would you mind (?:deleting|erasing|removing)"
    r"|(?:do not|don['’]?t) (?:keep|store|save)|stop (?:keeping|storing|saving)) "
)
_EVERYTHING = _pattern(
    rf"(?:(?P<said>{_SAID}|{_KNOWN}|(?:(?:this|our|the) )?(?:whole|entire) (?:conversation|chat)"
    r"|(?:this|our) (?:conversation|chat)|(?:all|everything|anything) about (?:me|us))"
    r"|everything|all(?: of (?:it|that|this))?|it all|all that"
    r"|(?:about )?(?:me|us)|(?:all )?(?:of )?my (?:data|messages|questions))"
    r"(?: (?:here|so far|until now|up to now|before|today"
    r"|in (?:this|our) (?:conversation|chat)))*+$"
)
_LAST = _pattern(
    r"(?:(?P<it>(?:about )?(?:it|that|this))|what (?:i|we)(?:['’]ve| have)? just "
    r"(?:said|told you|wrote|asked)|my (?:last|previous) (?:message|question|sentence))$"
)
_OWN = _pattern(
    rf"(?:(?:about|that|the fact that) )*+(?:my|mine|our|ours|me|us|i|we)\b|{_SAID}|{_KNOWN}"
    r"|(?:where|who|how old) (?:i|we)\b"
)
_SAYS = _pattern(rf"{_SAID}|{_KNOWN}")
_TWINS = _pattern(
    r"(?:(?:about|that|the fact that|all|any|of) )*+(?:you|your|you['’]re|previous|prior|earlier"
    r"|(?:the|these|those) (?:rules|instructions))\b|(?:how )?to "
)
_ABOUT = _pattern(
    rf"(?:(?:that|the fact that|about|{_SAID} (?:about|of|on|regarding)"
    r"|(?:everything|all|anything)(?: (?:that )?you (?:know|remember))? (?:about|of|on)) )*+"
)
_GOES_ON = _pattern(
    r"(?:[,;:]|\b(?:and|but|then|instead)\b)(?: (?:and|but|then|now|please|just|instead)){0,2} "
    r"(?:(?:tell|show|give|help|write|list|teach|let) (?:me|us)\b"
    r"|(?:explain|answer|describe|summari[sz]e|start|begin|go on|imagine|pretend|act|obey|is|are"
    r"|do|does|can|could|let['’]s)\b"
    r"|(?:what|how|why|where|who|when|which)\b(?! (?:old )?(?:i|we)\b))"
)
_AND = _pattern(r"[,;]| and (?:that )?")
_ENDS = (" please", " thanks", " thank you", " now", " for me", " again", " ok", " okay")
_MEMORY = (" from your memory", " from the memory", " from memory", " in mind")
_COURTESY = _pattern(
    r"(?:\W*+(?:hi|hello|hey|ok|okay|thanks|thank|you|please|sorry|actually|so|very|much|bye)\b)*+"
    r"\W*+$"
)


def forget_what(text: str) -> Wish | None:
    """None where nothing is to be forgotten.

    Beside other sentences, only what is clearly the reader's own is a wish.
    """
    parts = [" ".join(text[a:b].split()) for a, b in sentence_spans(text, language="en")]
    said = [part for part in parts if not _COURTESY.match(part)]
    found = [wish for part in said if (wish := _wish(part, alone=len(said) == 1))]
    if not found:
        return None
    return Wish(
        about=tuple(dict.fromkeys(what for wish in found for what in wish.about)),
        everything=any(wish.everything for wish in found),
        last=any(wish.last for wish in found),
    )


def _wish(part: str, *, alone: bool) -> Wish | None:
    """Of one sentence, with single blanks between its words."""
    asks = _ASKS.match(part, _end(_LEAD, part))
    at = asks.end() if asks else _end(_LEAD, part)
    forgets = _FORGETS.match(part, at)
    begins = forgets or _DELETES.match(part, at)
    if begins is None:
        return None
    what, polite, in_memory = _bare(part[begins.end() :])
    polite = polite or "please" in part[: begins.end()].lower()
    goes_on = _GOES_ON.search(what)
    if goes_on:
        what = what[: goes_on.start()].rstrip(" ,;:.!?")
    plain = alone and not goes_on
    asked = part.endswith("?") and not polite and (asks is None or asks["can"] is not None)
    if last := _LAST.match(what):
        return Wish(last=True) if plain and (not last["it"] or polite or asks) else None
    if everything := _EVERYTHING.match(what):
        sure = everything["said"] or (plain and not asked and (forgets or in_memory))
        return Wish(everything=True) if sure else None
    named = _SAYS.match(what) is not None
    if forgets or in_memory:
        named = _OWN.match(what) is not None or (plain and not asked and not _TWINS.match(what))
    about = what[_end(_ABOUT, what) :]
    return Wish(about=(about,)) if named and about else None


def parts(what: str) -> tuple[str, ...]:
    """Of 'my name and my dog' each; where it is one thing, such as an address, the only one."""
    return tuple(part.strip() for part in _AND.split(what) if part.strip())


def _bare(what: str) -> tuple[str, bool, bool]:
    """Without what is said at its end out of courtesy: how it is asked, and of whose memory."""
    polite = in_memory = False
    for _ in range(4):
        what = what.rstrip(" .!?,")
        ending = next((e for e in (*_ENDS, *_MEMORY) if what.lower().endswith(e)), "")
        polite = polite or ending == " please"
        in_memory = in_memory or ending in _MEMORY
        what = what[: len(what) - len(ending)]
    return what, polite, in_memory


def _end(pattern: re.Pattern[str], text: str) -> int:
    """Where it ends that matches at the beginning."""
    found = pattern.match(text)
    return found.end() if found else 0
