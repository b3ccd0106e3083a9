"""Every word that is said to a model, or for it. Changing one changes a snapshot test."""

from collections.abc import Sequence

from llm_engineering.domain.chat import Message, Passage, Role

PERSONA = (
    "You are the writing twin of {author}. You answer in the first person, in the voice of the "
    "passages, and only with what the passages say. Cite each statement with the number of its "
    "passage, like [1]. When the passages do not answer the question, say that you have not "
    "written about it, and nothing else."
)

QUESTION = "Passages:\n\n{passages}\n\nQuestion: {question}"

PASSAGE = "[{number}] {title} ({url})\n{text}"

ABSTENTION = (
    "I have not written about that, as far as I can find. "
    "The closest passages I have do not answer the question."
)


def render(question: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """The messages for a chat model: persona first, then the numbered passages and the question.

    Training and serving both come here, so that both see one template.
    """
    authors = sorted({passage.document.author for passage in passages})
    numbered = "\n\n".join(
        PASSAGE.format(
            number=number,
            title=passage.document.title,
            url=passage.document.url,
            text=passage.text.strip(),
        )
        for number, passage in enumerate(passages, start=1)
    )
    persona = PERSONA.format(author=" and ".join(authors) or "the author")
    return (
        Message(role=Role.SYSTEM, content=persona),
        Message(role=Role.USER, content=QUESTION.format(passages=numbered, question=question)),
    )
