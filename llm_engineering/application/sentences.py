"""Sentences as exact spans, by Wikimedia's sentencex (some 300 languages, rule based)."""

from functools import lru_cache

import sentencex

from llm_engineering.domain.chunks import Span


@lru_cache(maxsize=1_024)  # a paragraph is asked for twice: what is ranked, what can be quoted
def sentence_spans(text: str, *, language: str | None) -> tuple[Span, ...]:
    """Partition `text` into sentences: the spans touch, and together they are the text.

    A sentence keeps the white space that follows it, and inline code is never cut: the mark in
    `!$` ends no sentence. `language` is an ISO 639-1 code; without one, English abbreviations
    apply.
    """
    spans = _split(text, language)
    whole: list[Span] = []
    for start, end in spans:
        if whole and text.count("`", *whole[-1]) % 2 and "\n\n" not in text[slice(*whole[-1])]:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def _split(text: str, language: str | None) -> list[Span]:
    spans: list[Span] = []
    at = 0
    for segment in sentencex.segment(language or "en", text):
        end = at + len(segment)
        if text[at:end] != segment:
            return [*spans, (at, len(text))]
        spans.append((at, end))
        at = end
    if at < len(text):
        spans.append((at, len(text)))
    return spans
