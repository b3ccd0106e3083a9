"""Reverse instruction: a chat model says which instruction a text by the author would answer.

(Köksal et al., LongForm, arXiv 2304.08460; Ding et al., Panza, arXiv 2407.10994.) The model writes
the question only; what it says of style, length or the author is taken out, because the adapter is
to learn those from the targets, not from being told.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from llm_engineering.application.datasets.config import TeacherRule
from llm_engineering.application.datasets.ngrams import KnownRuns
from llm_engineering.application.rag.prompts import INSTRUCTION_OF
from llm_engineering.domain.chat import ChatRequest, Message, Role
from llm_engineering.domain.errors import BackendUnavailable, TwinError
from llm_engineering.ports.models import ChatModel
from llm_engineering.ports.progress import Progress

_GIVEN_UP = 8
"""Calls in a row that fail: the server is down, not one request wrong."""
_LONGEST, _SHORTEST = 400, 15

_TEXTS = (
    r"(?:note|post|article|paragraph|text|explanation|piece|entry|essay|summary|account|description"
    r"|guide|tutorial|message|passage|overview|section|reply|answer|story|review)"
)
_MANNER = (
    r"(?:casual|conversational|friendly|formal|informal|humorous|witty|playful|concise|brief|short"
    r"|long|detailed|engaging|enthusiastic|first-person|personal|chatty|dry|warm|plain)"
)
_STYLE = re.compile(
    r",?\s*\b(?:in|with|using|keeping|maintaining|adopting)\s+(?:an?|the|your|his|her|their|its)?\s*"
    r"(?:[\w-]+(?:,| and|, and)?\s+){0,5}?(?:style|tone|voice|register|prose|wording)\b"
    r"(?:\s+(?:of|that)\b[^.,;]*)?"
    r"|,?\s*\b(?:in|from)\s+(?:the\s+|an?\s+)?first[- ]person(?:\s+(?:perspective|voice))?"
    r"|,?\s*\bas (?:if|though) you (?:are|were)\b[^.,;]*"
    r"|,?\s*\bin (?:about|around|under|fewer than|no more than|at most)?\s*[\w-]+\s+"
    r"(?:words|sentences|paragraphs)\b"
    r"|\b(?:casually|conversationally|informally|humorously|concisely|briefly|playfully|wittily"
    r"|enthusiastically)\b\s?"
    rf"|\b{_MANNER}(?:,? (?:and |yet |but )?{_MANNER})*,?\s+(?=(?:[\w-]+\s+){{0,2}}?{_TEXTS}\b)",
    re.IGNORECASE,
)
_PREFACE = re.compile(r"^(?:sure|certainly|here (?:is|'s)[^:\n]*|instruction)\s*[:!.]\s*", re.I)
_BULLET = re.compile(r"^(?:[-*•]|\(?\d{1,2}[.):])\s+")


def teach(
    texts: Sequence[str],
    *,
    teacher: ChatModel,
    author: str,
    rule: TeacherRule,
    dropped: Counter[str],
    progress: Progress,
) -> list[str]:
    """One instruction per text, in order; '' where the model wrote none that can be used.

    A call that fails is counted in `dropped`. Raises BackendUnavailable after several in a row.
    """
    found: list[str] = []
    failed = 0
    pool = ThreadPoolExecutor(rule.at_once, thread_name_prefix="teacher")
    try:
        with progress.stage("teacher", total=len(texts)) as advance:
            for text, said in zip(
                texts, pool.map(lambda text: _said(text, teacher, rule), texts), strict=True
            ):
                advance(1)
                if isinstance(said, TwinError):
                    failed += 1
                    dropped["teacher: call failed"] += 1
                    _give_up(failed, teacher, said)
                    found.append("")
                    continue
                failed = 0
                instruction, reason = usable_instruction(said, text=text, author=author)
                if reason:
                    dropped[f"teacher: {reason}"] += 1
                found.append(instruction)
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def usable_instruction(said: str, *, text: str, author: str) -> tuple[str, str]:
    """(instruction without style and author, '') or ('', why there is none)."""
    line = next(iter(_lines(said)), "")
    plain = _without_author(_STYLE.sub("", line), author)
    plain = re.sub(r"\s+([.,;:?!])", r"\1", " ".join(plain.split())).strip(" ,;")
    plain = plain[:1].upper() + plain[1:]
    if not _SHORTEST <= len(plain) <= _LONGEST:
        return "", "wrote no instruction"
    if _names(author, plain):
        return "", "named the author"
    if KnownRuns([text]).share(plain):
        return "", "quoted the text"
    return plain, ""


def _said(text: str, teacher: ChatModel, rule: TeacherRule) -> str | TwinError:
    asked = INSTRUCTION_OF.format(text=text)
    request = ChatRequest(
        messages=(Message(role=Role.USER, content=asked),),
        question=asked,
        max_tokens=rule.max_tokens,
        temperature=rule.temperature,
    )
    try:
        return teacher.complete(request).text
    except TwinError as error:
        return error


def _give_up(failed: int, teacher: ChatModel, error: TwinError) -> None:
    if failed >= _GIVEN_UP:
        raise BackendUnavailable(
            f"the teacher {teacher.name!r} failed {failed} times in a row ({error}); or do "
            "without one: teacher.calls=0"
        )


def _lines(said: str) -> Iterator[str]:
    for raw in said.splitlines():
        line = _PREFACE.sub("", _BULLET.sub("", " ".join(raw.split()))).strip("\"'“”‘’`* ")
        if line and not line.endswith(":"):
            yield line


def _without_author(line: str, author: str) -> str:
    name = re.escape(author)
    line = re.sub(rf"\b{name}(?:'s|’s)", "your", line, flags=re.IGNORECASE)
    line = re.sub(r"\bthe (?:author|writer)(?:'s|’s)", "your", line, flags=re.IGNORECASE)
    return re.sub(rf",?\s*\b(?:by|like|as|from|of) {name}\b", "", line, flags=re.IGNORECASE)


def _names(author: str, line: str) -> bool:
    parts = {author, *(part for part in author.split()[-1:] if len(part) > 3)}
    return any(re.search(rf"\b{re.escape(part)}\b", line, re.IGNORECASE) for part in parts)
