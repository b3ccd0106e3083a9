"""Questions bound to an index: their documents found by name, their references by their text.

Does not know: which index that is, how it ranks.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, partial

from llm_engineering.application.evaluation.questions import Question, QuestionFile
from llm_engineering.application.evaluation.references import Texts
from llm_engineering.application.evaluation.span_metrics import Gold
from llm_engineering.domain.chunks import Span
from llm_engineering.domain.errors import InvalidInput

_TEXTS_KEPT = 64
"""Documents held at a time; question files mostly ask about one after the other."""

Mistake = Callable[[str], InvalidInput]
"""Makes the error for a row of the file from what is wrong with it."""


@dataclass(frozen=True)
class BoundQuestion:
    """A question with the spans of indexed text that answer it."""

    question: Question
    gold: Gold
    """Without any characters where nothing answers it."""
    unlocated: int = 0
    """References whose text the index does not hold; their characters count as never found."""

    @property
    def answerable(self) -> bool:
        return bool(self.question.references)


def bind(
    file: QuestionFile,
    *,
    names: Mapping[str, Iterable[str]],
    read: Callable[[str], Texts],
) -> list[BoundQuestion]:
    """Each question of `file` with its references located, in order.

    `names` says by which paths and URLs each document id is known; `read` gives a document's
    texts. Raises InvalidInput for a document that is not there or not named clearly enough, and
    for offsets outside of it.
    """
    catalogue = _Catalogue(names)
    texts = lru_cache(maxsize=_TEXTS_KEPT)(read)
    return [
        _bound(question, catalogue, texts, partial(file.mistake, number))
        for number, question in enumerate(file.questions)
    ]


def _bound(
    question: Question, catalogue: "_Catalogue", read: Callable[[str], Texts], mistake: Mistake
) -> BoundQuestion:
    spans: dict[str, list[Span]] = {}
    lost = unlocated = 0
    for reference in question.references:
        name = reference.path or question.corpus_id
        document = catalogue.find(name, mistake)
        texts = read(document)
        if (reference.end_index or 0) > len(texts.written):
            raise mistake(
                f"end_index {reference.end_index} is past the end of {name!r} "
                f"({len(texts.written)} characters); count in the file as it is on disk"
            )
        found = spans.setdefault(document, [])
        place = texts.locate(reference)
        if place is None:
            unlocated += 1
            lost += len(texts.quote(reference))
        else:
            found.append(place)
    return BoundQuestion(question, Gold.of(spans, lost=lost), unlocated)


class _Catalogue:
    """Documents by what they may be called: a path or URL, its end, with or without extension."""

    def __init__(self, names: Mapping[str, Iterable[str]]) -> None:
        self._known: dict[str, dict[int, set[str]]] = {}
        for document, called in names.items():
            for name in called:
                for rank, each in _called(name):
                    self._known.setdefault(each, {}).setdefault(rank, set()).add(document)

    def find(self, name: str, mistake: Mistake) -> str:
        """The one document that `name` fits best; raises what `mistake` makes of the reason."""
        ranks = self._known.get(name.strip("/"))
        if ranks is None:
            near = get_close_matches(name, self._known, n=1)
            hint = f"; is it {near[0]!r}?" if near else "; crawl it, or name one that was"
            raise mistake(f"there is no document {name!r}{hint}")
        fitting = ranks[min(ranks)]
        if len(fitting) > 1:
            raise mistake(f"{len(fitting)} documents are called {name!r}; give more of the path")
        return next(iter(fitting))


def _called(name: str) -> Iterable[tuple[int, str]]:
    """What a document with this path or URL may be called; smaller numbers fit better."""
    whole = name.strip("/")
    yield 0, whole
    parts = whole.split("/")
    for first in range(len(parts)):
        end = "/".join(parts[first:])
        stem, dot, _ = parts[-1].rpartition(".")
        yield (2 if first else 0), end
        if stem and dot:
            bare = "/".join([*parts[first:-1], stem])
            yield (3 if first else 1), bare
