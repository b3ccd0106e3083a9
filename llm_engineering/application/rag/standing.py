"""Standing: what stands of an answer once it was checked.

Too little of it is backed: the author's own sentences take its place, or an abstention where none
can be quoted. What was streamed before that was known is withdrawn in so many words. And where the
author changed their mind, the answer says so even if the model did not.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from llm_engineering.application.rag.grounding import Grounder
from llm_engineering.application.rag.prompts import (
    ABSTENTION,
    CHANGED,
    WITHDRAWN,
    WITHDRAWN_FOR_NOTHING,
)
from llm_engineering.domain.chat import (
    Answer,
    Change,
    ChatRequest,
    CheckedSentence,
    Citation,
    Completion,
    Grounding,
)
from llm_engineering.ports.models import ChatModel

_LONGEST_QUOTE = 300
"""Characters of a statement that a closing sentence quotes."""


@dataclass(frozen=True, slots=True)
class Upholding:
    """What it takes to hold answers to their evidence."""

    grounder: Grounder
    quotes: ChatModel | None
    """A model that only quotes; None: there is nothing to put in the place of an answer."""

    @property
    def checked_first(self) -> bool:
        """Whether nothing of a streamed answer is shown before the check."""
        return self.grounder.config.stream == "checked"


def upheld(answer: Answer, request: ChatRequest | None, *, by: Upholding, given: bool) -> Answer:
    """The answer with its labels, and with what takes its place where too little is backed.

    `given`: its text is already out; then the new text begins with it. Answers without evidence,
    calls of tools and abstentions are as they were. Blocking.
    """
    if request is None or answer.abstained or answer.tool_calls or not answer.passages:
        return answer
    began = time.perf_counter()
    grounding = by.grounder.check(answer.text, answer.passages)
    if grounding.sentences and grounding.share < by.grounder.config.min_share:
        whole = _replaced(answer, request, grounding, by=by, given=given)
    else:
        whole = _noted(answer.model_copy(update={"grounding": grounding}), request.changes)
    took = (time.perf_counter() - began) * 1e3
    total = answer.timings_ms.get("total", 0.0) + took
    timings = {**answer.timings_ms, "check": took, "total": total}
    return whole.model_copy(update={"timings_ms": timings})


def _replaced(
    answer: Answer, request: ChatRequest, grounding: Grounding, *, by: Upholding, given: bool
) -> Answer:
    quoted = Completion(text="", abstained=True)
    if by.quotes is not None:
        quoted = by.quotes.complete(request.model_copy(update={"model": ""}))
    withdrawn = len(answer.text) if given else 0
    if quoted.abstained:
        text = f"{answer.text}\n\n{WITHDRAWN_FOR_NOTHING}" if given else ABSTENTION
        kept = grounding.model_copy(
            update={"sentences": (), "replaced": True, "withdrawn": withdrawn}
        )
        update = {"text": text, "abstained": True, "citations": (), "grounding": kept}
        return answer.model_copy(update=update)
    before = f"{answer.text}\n\n{WITHDRAWN}\n\n" if given else ""
    kept = grounding.model_copy(
        update={
            "sentences": _moved(
                by.grounder.check(quoted.text, answer.passages).sentences, by=len(before)
            ),
            "replaced": True,
            "withdrawn": withdrawn,
        }
    )
    whole = answer.model_copy(
        update={"text": before + quoted.text, "citations": quoted.citations, "grounding": kept}
    )
    return _noted(whole, request.changes)


def _moved(sentences: Sequence[CheckedSentence], *, by: int) -> tuple[CheckedSentence, ...]:
    return tuple(
        each.model_copy(update={"start": each.start + by, "end": each.end + by})
        for each in sentences
    )


def _noted(answer: Answer, changes: Sequence[Change]) -> Answer:
    """With a closing sentence for each change that the answer does not tell of."""
    citations = list(answer.citations)
    text = answer.text
    standing = text[answer.grounding.withdrawn :] if answer.grounding else text
    for change in changes:
        if not tells_of(standing, change):
            text += f"\n\n{_closing(change, citations)}"
    update = {"text": text, "citations": tuple(citations), "changes": tuple(changes)}
    return answer.model_copy(update=update)


def tells_of(text: str, change: Change) -> bool:
    """Whether it names both dates, by day or in the way people write months and years."""
    dates = (change.before.published_at, change.after.published_at)
    return all(_named(text, date, other) for date, other in zip(dates, dates[::-1], strict=True))


def _named(text: str, date: datetime | None, other: datetime | None) -> bool:
    if date is None:
        return False
    if f"{date:%Y-%m-%d}" in text:
        return True
    if other is not None and other.year != date.year:
        return re.search(rf"\b{date.year}\b", text) is not None
    return re.search(rf"\b{date:%B}\s+(?:\d{{1,2}},?\s+)?{date.year}\b", text) is not None


def _closing(change: Change, citations: list[Citation]) -> str:
    """`citations` gets what it cites."""
    for each in (change.after, change.before):
        if each not in citations:
            citations.append(each)
    return CHANGED.format(
        new=_shortened(change.after.quote),
        new_date=day(change.after),
        new_number=citations.index(change.after) + 1,
        old=_shortened(change.before.quote),
        old_date=day(change.before),
        old_number=citations.index(change.before) + 1,
    )


def day(citation: Citation) -> str:
    """The date of what is cited, as answers write it."""
    return f"{citation.published_at:%Y-%m-%d}" if citation.published_at else ""


def _shortened(quote: str) -> str:
    flat = " ".join(quote.split())
    if len(flat) <= _LONGEST_QUOTE:
        return flat
    return flat[:_LONGEST_QUOTE].rpartition(" ")[0] + " …"
