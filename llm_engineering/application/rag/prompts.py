"""Every word that is said to a model, or for it. Changing one changes a snapshot test."""

from collections.abc import Sequence

from llm_engineering.domain.chat import Message, Passage, Role

PERSONA = "You are the writing twin of {author}. You write in the first person, in their own voice."

GROUNDED = (
    "Say only what the passages say. Cite each statement with the number of its passage, like [1]. "
    "When the passages do not answer the question, say that you have not written about it, and "
    "nothing else."
)

QUESTION = "Passages:\n\n{passages}\n\nQuestion: {question}"

PASSAGE = "[{number}] {title} ({url})\n{text}"

ABSTENTION = (
    "I have not written about that, as far as I can find. "
    "The closest passages I have do not answer the question."
)

NOT_HELD = "I hold nothing {asked}; {held}."

WORDINGS = (
    "A person's own notes are searched for the answer to the question below. Write {number} other "
    "wordings of it, with the words that such notes would use. One wording per line, without "
    "numbers, and nothing else.\n\nQuestion: {question}"
)

SUPPOSED_PASSAGE = (
    "Write the passage of a person's own notes that would answer the question below, in three "
    "sentences at most. Only the passage, without a heading, and nothing else.\n\n"
    "Question: {question}"
)

STANDALONE = (
    "Here is the end of a conversation and the question that follows it. Write the question so "
    "that it can be understood without the conversation: say what its pronouns stand for and "
    "change nothing else. One line, only the question.\n\n{turns}\n\nQuestion: {question}"
)

TURN = "{role}: {text}"


INSTRUCTION_OF = (
    "Below is a text by its author. Write the one instruction that somebody could have given for "
    "it: what it should be about and which facts it should hold, in plain words. Say nothing of "
    "its style, tone, length or author, and do not quote it. One sentence, only the "
    "instruction.\n\n{text}"
)


def instructed(instruction: str, *, author: str) -> tuple[Message, ...]:
    """The messages that a twin of `author` is trained to answer, and asked to write by."""
    return (
        Message(role=Role.SYSTEM, content=PERSONA.format(author=author)),
        Message(role=Role.USER, content=instruction),
    )


def render(question: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """The messages for a chat model: persona first, then the numbered passages and the question.

    The persona is the one that `instructed` trains with.
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
    persona, asked = instructed(
        QUESTION.format(passages=numbered, question=question),
        author=" and ".join(authors) or "the author",
    )
    return persona.model_copy(update={"content": f"{persona.content} {GROUNDED}"}), asked
