"""What is not backed is replaced or taken back, and a changed mind is always told of."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_engineering.application.rag import prompts
from llm_engineering.application.rag.answer import answer, stream_answer
from llm_engineering.application.rag.find import SearchPorts
from llm_engineering.application.rag.grounding import GroundingConfig
from llm_engineering.application.rag.preparing import AnswerConfig, prepare
from llm_engineering.application.rag.standing import tells_of
from llm_engineering.domain.chat import Answer, Change, Citation, Verdict
from llm_engineering.domain.conversations import ConversationTurn
from tests.unit.chatting import ScriptedChat
from tests.unit.serving import NOTES, QUESTION, indexed_app, memory_app, publish

MADE_UP = "Backups are boring, and mine run on eleven satellites [1]."
BACKED = "A backup is one copy of the database file [1]."
OLD_DAY = datetime(2021, 3, 4, tzinfo=UTC)
OLD = "I keep my database notes in Evernote."
NEW = "I moved my database notes from Evernote to plain files."
CHANGED_QUESTION = "Where do you keep your database notes, Evernote?"


def ports(said: str, **more: Any) -> SearchPorts:
    app = indexed_app(chat=ScriptedChat(said))
    return replace(app.search_ports, **more)


def config(**grounding: Any) -> AnswerConfig:
    return AnswerConfig(grounding=GroundingConfig(min_nearness=0, **grounding))


def streamed(
    said: str, *, seen: bool = True, more: dict[str, Any] | None = None, **grounding: Any
) -> tuple[list[str], Answer]:
    asked = config(**grounding)
    searched = ports(said, **(more or {}))

    async def gather() -> list[str | Answer]:
        prepared = prepare(QUESTION, config=asked, ports=searched)
        pieces = stream_answer(
            prepared,
            chat=searched.chat,
            sparse=searched.sparse,
            upholding=asked.upholding(searched),
            seen=seen,
        )
        return [piece async for piece in pieces]

    *pieces, whole = asyncio.run(gather())
    assert isinstance(whole, Answer)
    return [piece for piece in pieces if isinstance(piece, str)], whole


def test_every_answer_has_an_id_of_its_own_and_says_that_a_machine_wrote_it() -> None:
    one, other = (answer(QUESTION, config=config(), ports=ports(BACKED)) for _ in range(2))
    assert one.id != other.id
    assert len(one.id) == 32
    assert one.disclosure == prompts.DISCLOSURE.format(author="Ada Lovelace")
    refused = answer("zebra quantum marmalade", config=config(), ports=ports(BACKED))
    assert refused.abstained
    assert refused.id
    assert "AI twin" in refused.disclosure
    assert refused.grounding is None


def test_labels_come_with_the_answer_and_by_themselves_change_nothing() -> None:
    given = answer(QUESTION, config=config(), ports=ports(f"{BACKED} {MADE_UP}"))
    assert given.text == f"{BACKED} {MADE_UP}"
    assert given.grounding is not None
    assert [each.verdict for each in given.grounding.sentences] == [
        Verdict.SUPPORTED,
        Verdict.UNSUPPORTED,
    ]
    assert (given.grounding.share, given.grounding.replaced) == (0.5, False)
    assert given.timings_ms["check"] > 0
    assert given.timings_ms["total"] >= given.timings_ms["check"]


def test_an_answer_that_is_not_backed_becomes_the_authors_own_words() -> None:
    given = answer(QUESTION, config=config(min_share=0.5), ports=ports(MADE_UP))
    assert given.text == f"“{NOTES[0]}” [1]"
    assert [citation.quote for citation in given.citations] == [NOTES[0]]
    assert given.grounding is not None
    assert (given.grounding.replaced, given.grounding.withdrawn) == (True, 0)
    assert given.grounding.share == 0
    (checked,) = given.grounding.sentences
    assert checked.verdict is Verdict.SAID
    assert given.text[checked.start : checked.end] == f"“{NOTES[0]}”"


def test_where_nothing_can_be_quoted_it_abstains() -> None:
    given = answer(QUESTION, config=config(min_share=0.5), ports=ports(MADE_UP, quotes=None))
    assert (given.text, given.abstained, given.citations) == (prompts.ABSTENTION, True, ())
    assert given.grounding is not None
    assert given.grounding.replaced


def test_an_answer_at_the_share_stands() -> None:
    given = answer(QUESTION, config=config(min_share=0.5), ports=ports(f"{BACKED} {MADE_UP}"))
    assert given.grounding is not None
    assert not given.grounding.replaced


def test_a_live_stream_is_taken_back_in_words_and_goes_on_with_quotations() -> None:
    pieces, whole = streamed(MADE_UP, min_share=0.5)
    assert "".join(pieces) == whole.text
    assert pieces[0] == MADE_UP
    assert whole.text == f"{MADE_UP}\n\n{prompts.WITHDRAWN}\n\n“{NOTES[0]}” [1]"
    assert whole.grounding is not None
    assert whole.text[: whole.grounding.withdrawn] == MADE_UP
    assert whole.standing == f"{prompts.WITHDRAWN}\n\n“{NOTES[0]}” [1]"
    (checked,) = whole.grounding.sentences
    assert whole.text[checked.start : checked.end] == f"“{NOTES[0]}”"


def test_a_conversation_goes_on_from_what_stands() -> None:
    _, whole = streamed(MADE_UP, min_share=0.5)
    turn = ConversationTurn(role="assistant", text=whole.text, at=OLD_DAY, answer=whole)
    assert turn.standing == whole.standing
    assert MADE_UP not in turn.standing
    asked = ConversationTurn(role="user", text="Why?", at=OLD_DAY)
    assert asked.standing == "Why?"


def test_a_live_stream_without_anything_to_quote_is_taken_back_as_well() -> None:
    pieces, whole = streamed(MADE_UP, min_share=0.5, more={"quotes": None})
    assert "".join(pieces) == whole.text == f"{MADE_UP}\n\n{prompts.WITHDRAWN_FOR_NOTHING}"
    assert whole.abstained
    assert whole.standing == prompts.WITHDRAWN_FOR_NOTHING


def test_a_checked_stream_shows_nothing_that_will_not_stand() -> None:
    pieces, whole = streamed(MADE_UP, min_share=0.5, stream="checked")
    assert pieces == [whole.text] == [f"“{NOTES[0]}” [1]"]
    assert whole.grounding is not None
    assert (whole.grounding.replaced, whole.grounding.withdrawn) == (True, 0)
    pieces, whole = streamed(BACKED, min_share=0.5, stream="checked")
    assert pieces == [whole.text] == [BACKED]


def test_pieces_that_nobody_sees_need_no_taking_back() -> None:
    _, whole = streamed(MADE_UP, min_share=0.5, seen=False)
    assert whole.text == f"“{NOTES[0]}” [1]"
    assert whole.grounding is not None
    assert whole.grounding.withdrawn == 0


def test_quotations_are_all_said() -> None:
    given = answer(QUESTION, config=config(min_share=1), ports=indexed_app().search_ports)
    assert given.grounding is not None
    assert {each.verdict for each in given.grounding.sentences} == {Verdict.SAID}
    assert not given.grounding.replaced


def changed(chat: ScriptedChat | None = None, **grounding: Any) -> Answer:
    app = memory_app(chat=chat) if chat else memory_app()
    publish(app, OLD, NEW)
    lenient = config(**grounding).model_copy(update={"min_evidence": 0})
    return answer(CHANGED_QUESTION, config=lenient, ports=app.search_ports)


def test_quotations_put_the_newer_view_first_and_say_that_it_changed() -> None:
    given = changed()
    (change,) = given.changes
    assert (change.before.quote, change.after.quote) == (OLD, NEW)
    assert given.text.index(NEW) < given.text.index(OLD)
    assert "I have changed my mind" in given.text
    assert "2024-03-01" in given.text
    assert "2024-03-02" in given.text


def test_a_model_that_only_repeats_the_old_view_is_completed_with_the_newer() -> None:
    chat = ScriptedChat(f"{OLD} [1]")
    given = changed(chat)
    assert given.text.startswith(OLD)
    assert NEW in given.text
    assert {each.quote for each in given.citations} >= {OLD, NEW}
    for date in ("2024-03-01", "2024-03-02"):
        assert date in given.text.removeprefix(OLD)
        assert date in chat.prompt
    assert "older view" in chat.prompt


def test_a_replaced_answer_gives_the_newer_view_first_too() -> None:
    given = changed(ScriptedChat(MADE_UP), min_share=0.5)
    assert given.grounding is not None
    assert given.grounding.replaced
    assert given.text.index(NEW) < given.text.index(OLD)


def test_a_model_that_tells_of_the_change_itself_is_left_alone() -> None:
    said = "On 2024-03-01 it was Evernote [1]; since 2024-03-02 it is plain files [2]."
    given = changed(ScriptedChat(said))
    assert "I have changed my mind" not in given.text
    assert given.changes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("It was X on 2021-03-04 and is Y since 2024-05-06.", True),
        ("In 2021 it was X, and since 2024 it is Y.", True),
        ("It is Y since 2024-05-06.", False),
        ("It was X, and now it is Y.", False),
        ("Port 2021 and 20245.", False),
    ],
)
def test_a_change_is_told_of_when_both_dates_are(text: str, told: bool) -> None:
    def cited(year: int, month: int, day: int) -> Citation:
        at = datetime(year, month, day, tzinfo=UTC)
        fields = {"document_id": "d", "title": "", "url": "", "author": "", "quote": ""}
        return Citation.model_validate({**fields, "start": 0, "end": 0, "published_at": at})

    change = Change(before=cited(2021, 3, 4), after=cited(2024, 5, 6))
    assert tells_of(text, change) is told
