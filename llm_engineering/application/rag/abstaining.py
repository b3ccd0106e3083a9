"""Whether a model says, in words of its own, that the passages do not answer."""

import re

from llm_engineering.application.rag.prompts import ABSTENTION

_ABSTAINS = re.split(r"(?<=\w)[,.]", ABSTENTION, maxsplit=1)[0].casefold()
_DECLINES = re.compile(
    r"\b(?:have(?: not|n['’]t)|(?:have )?never|did(?: not|n['’]t)) (?:ever |yet |actually )?"
    r"(?:written|wrote|write) (?:anything |specifically |directly )*(?:about|on)\b",
    re.IGNORECASE,
)


def abstains(text: str, *, cites: bool) -> bool:
    """`cites`: it names passages; then it does not decline, whatever it says beside."""
    if not text.strip() or text.casefold().startswith(_ABSTAINS):
        return True
    return not cites and _DECLINES.search(text) is not None
