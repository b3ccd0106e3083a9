"""Passages: the best sentences, those that touch joined into exact spans, within a budget."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from llm_engineering.application.near_duplicates import THRESHOLD, Shingles, jaccard, shingles
from llm_engineering.domain.chat import Passage, Sentence
from llm_engineering.domain.chunks import Chunk, Span
from llm_engineering.domain.vectors import FusedHit

CountTokens = Callable[[str], int]

_TIE = 1e-9
_PASSED_OVER = 4
"""Sentences that do not fit, after which the budget counts as used."""
_SAYS_SOMETHING = 5
"""Words; shorter sentences ("For example:") are often alike without saying the same."""


@dataclass(frozen=True, slots=True)
class Found:
    """A passage, the hit that made it one, and where in it that hit's sentence stands."""

    passage: Passage
    hit: FusedHit
    best: Span


@dataclass(frozen=True, slots=True)
class _Taken:
    """A sentence that was taken, or a neighbour that widens one."""

    chunk: Chunk
    span: Span
    hit: FusedHit | None
    tokens: int

    @property
    def key(self) -> tuple[str, Span]:
        return self.chunk.document.id, self.span

    @property
    def text(self) -> str:
        return _text(self.chunk, self.span)


def select(
    hits: Sequence[FusedHit],
    chunks: Mapping[str, Chunk],
    *,
    budget_tokens: int,
    count_tokens: CountTokens,
) -> tuple[Found, ...]:
    """The best sentences that fit the budget, joined where they touch, best passage first.

    A sentence that does not fit is passed over for a shorter one a few places below it; the first
    is always taken. What says nearly the same as one taken before is left out. Where scores tie,
    documents that were not heard yet come first. When the hits run out before the budget does, what
    is left widens passages, best first, to the sentences around them in their chunks. Hits of
    chunks that are not in `chunks` are passed over: their document was removed meanwhile.
    """
    taken: list[_Taken] = []
    said: list[Shingles] = []
    left, too_long = budget_tokens, 0
    for hit in _spread(hits, chunks):
        chunk = chunks[hit.sentence.chunk]
        span = chunk.sentences[hit.sentence.number]
        text = _text(chunk, span)
        words = shingles(text) if len(text.split()) >= _SAYS_SOMETHING else frozenset()
        if any(jaccard(words, old) >= THRESHOLD for old in said):
            continue
        item = _Taken(chunk, span, hit, count_tokens(text))
        if taken and item.tokens > left:
            too_long += 1
            if too_long > _PASSED_OVER:
                break
            continue
        taken.append(item)
        said += [words] if words else []
        left -= item.tokens
    if too_long:
        left = 0
    widened = _widened(taken, left, count_tokens=count_tokens)
    found = [_found(run) for run in _runs(widened)]
    return tuple(sorted(found, key=lambda each: (-each.hit.score, each.hit.sentence)))


def browse(
    hits: Sequence[FusedHit], chunks: Mapping[str, Chunk], *, limit: int
) -> tuple[Found, ...]:
    """The chunks of the best sentences, at most `limit` of them, best first: results to look at.

    Near-duplicates, ties and chunks that are gone are treated as by `select`.
    """
    found: list[Found] = []
    said: list[Shingles] = []
    seen: set[str] = set()
    for hit in _spread(hits, chunks):
        chunk = chunks[hit.sentence.chunk]
        words = shingles(chunk.text)
        if chunk.id in seen or any(jaccard(words, old) >= THRESHOLD for old in said):
            continue
        if len(found) == limit:
            break
        seen.add(chunk.id)
        said.append(words)
        best = _Taken(chunk, chunk.sentences[hit.sentence.number], hit, 0)
        rest = [_Taken(chunk, span, None, 0) for span in chunk.sentences if span != best.span]
        whole = _found(sorted([best, *rest], key=lambda item: item.key))
        passage = whole.passage.model_copy(update={"tokens": chunk.tokens})
        found.append(replace(whole, passage=passage))
    return tuple(found)


def _spread(hits: Sequence[FusedHit], chunks: Mapping[str, Chunk]) -> Iterator[FusedHit]:
    """The hits whose chunks are known; among equal scores, new documents first."""
    heard: set[str] = set()
    known = [hit for hit in hits if hit.sentence.chunk in chunks]
    cuts = [n for n, (a, b) in enumerate(pairwise(known), 1) if a.score - b.score > _TIE]
    for start, end in pairwise([0, *cuts, len(known)]):
        again = []
        for hit in known[start:end]:
            document = chunks[hit.sentence.chunk].document.id
            if document in heard:
                again.append(hit)
            else:
                heard.add(document)
                yield hit
        yield from again


def _widened(taken: Sequence[_Taken], left: int, *, count_tokens: CountTokens) -> list[_Taken]:
    """Neighbours in the chunks of what was taken, as long as tokens are left."""
    held = {item.key: item for item in taken}
    for item in taken:
        if left <= 0:
            break
        sentences = item.chunk.sentences
        place = sentences.index(item.span)
        order = sorted(range(len(sentences)), key=lambda n: (abs(n - place), n))
        for span in (sentences[n] for n in order):
            neighbour = _Taken(item.chunk, span, None, count_tokens(_text(item.chunk, span)))
            if neighbour.key in held:
                continue
            if neighbour.tokens > left:
                break
            held[neighbour.key] = neighbour
            left -= neighbour.tokens
    return list(held.values())


def _runs(taken: Sequence[_Taken]) -> list[list[_Taken]]:
    """Sentences that follow each other in one document."""
    runs: list[list[_Taken]] = []
    for item in sorted(taken, key=lambda item: item.key):
        before = runs[-1][-1] if runs else None
        if before and before.key[0] == item.key[0] and before.span[1] == item.span[0]:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _found(run: Sequence[_Taken]) -> Found:
    ranked = [(item.hit, item) for item in run if item.hit is not None]
    hit, best = max(ranked, key=lambda each: each[0].score)
    chunks = list({item.chunk.id: item.chunk for item in run}.values())
    start, end = run[0].span[0], run[-1].span[1]
    passage = Passage(
        document=best.chunk.document,
        start=start,
        end=end,
        text="".join(item.text for item in run),
        heading_path=best.chunk.heading_path,
        sentences=tuple(
            Sentence(start=a, end=b, heading_path=chunk.heading_path)
            for chunk in chunks
            for a, b in chunk.statements
            if start <= a and b <= end
        ),
        tokens=sum(item.tokens for item in run),
        score=hit.score,
    )
    return Found(passage, hit, best.span)


def _text(chunk: Chunk, span: Span) -> str:
    return chunk.text[span[0] - chunk.start : span[1] - chunk.start]
