"""Give feedback: an opinion of a served answer, kept with everything that it is about.

Does not know: where answers that were served are kept, HTTP.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from llm_engineering.application.erasure import rests_on
from llm_engineering.domain.errors import InvalidInput, NotFound, TwinError
from llm_engineering.domain.feedback import Feedback
from llm_engineering.domain.served import ServedAnswer
from llm_engineering.ports.jobs import ModelRegistry
from llm_engineering.ports.stores import DocumentStore, FeedbackStore

EDIT_LIMIT = 20_000
"""Characters of an edit."""


def give_feedback(
    served: ServedAnswer,
    *,
    liked: bool | None,
    edit: str | None,
    owner: str,
    by_author: bool,
    store: FeedbackStore,
    documents: DocumentStore,
    models: ModelRegistry,
    now: datetime,
) -> Feedback:
    """Keep it; a second opinion of the same reader replaces the first.

    Raises InvalidInput for an empty opinion or an edit that changes nothing, NotFound when a
    document that the answer or its prompt rests on was erased since; nothing is kept then.
    """
    answer = served.answer
    _check(answer.text, liked=liked, edit=edit)
    read = (each.document.id for each in answer.passages)
    document_ids = tuple(dict.fromkeys((*read, *sorted(rests_on(answer)), *served.earlier)))
    _refuse_erased(document_ids, documents)
    feedback = Feedback(
        id=str(uuid5(NAMESPACE_URL, f"feedback\n{owner}\n{answer.id}")),
        prompt=served.prompt,
        served=answer.text,
        edit=edit,
        by_author=by_author and edit is not None,
        liked=liked,
        model=answer.model,
        document_ids=document_ids,
        passages=tuple(f"{each.document.id}:{each.start}-{each.end}" for each in answer.passages),
        answer_id=answer.id,
        adapter_hash=served.adapter_hash or adapter_hash(answer.model, models),
        owner=owner,
        conversation=served.conversation,
        created_at=now,
    )
    store.put([feedback])
    try:
        # Once more: who erases looks for feedback after the tombstone, and may have looked before.
        _refuse_erased(document_ids, documents)
    except NotFound:
        store.remove([feedback.id])
        raise
    return feedback


def accept_edit(feedback_id: str, *, store: FeedbackStore) -> Feedback:
    """Take an edit for the author's own words: the author read it and says so.

    Raises NotFound, or InvalidInput for feedback without an edit.
    """
    found = _by_id(store).get(feedback_id)
    if found is None:
        raise NotFound(f"no feedback {feedback_id[:80]!r}; 'twin feedback list' shows the ids")
    if found.edit is None:
        raise InvalidInput(f"feedback {feedback_id!r} has no edit to accept")
    accepted = found.model_copy(update={"by_author": True})
    store.put([accepted])
    return accepted


def adapter_hash(model: str, models: ModelRegistry) -> str:
    """Of the version `model`; '' for what is no version, such as an engine's own model."""
    try:
        return models.get(model).manifest.adapter_sha256
    except TwinError:
        return ""


def erased_among(document_ids: tuple[str, ...], documents: DocumentStore) -> frozenset[str]:
    """Those with a tombstone. One that the store never knew is not erased: an index may be
    served without its documents."""
    alive = documents.get_many(document_ids)
    gone = (key for key in document_ids if key not in alive)
    return frozenset(key for key in gone if documents.revisions(key))


def _refuse_erased(document_ids: tuple[str, ...], documents: DocumentStore) -> None:
    if erased := erased_among(document_ids, documents):
        raise NotFound(
            f"the answer rests on the erased document {min(erased)!r} and is forgotten; ask again"
        )


def _check(served: str, *, liked: bool | None, edit: str | None) -> None:
    if liked is None and edit is None:
        raise InvalidInput("the feedback says nothing; send 'liked', 'edit' or both")
    if edit is None:
        return
    if not edit.strip():
        raise InvalidInput("'edit' is empty; send what should have been said, or leave it out")
    if len(edit) > EDIT_LIMIT:
        raise InvalidInput(
            f"'edit' has {len(edit):,} characters; {EDIT_LIMIT:,} are kept at most: shorten it"
        )
    if edit.strip() == served.strip():
        raise InvalidInput("'edit' is the answer as it was; change it, or send 'liked' instead")


def _by_id(store: FeedbackStore) -> Mapping[str, Feedback]:
    return {each.id: each for each in store.find()}
