"""The words that the retrieval stages say to a model, or for it, are these and nothing else."""

from llm_engineering.application.rag import prompts


def test_the_prompts_of_the_stages_are_these() -> None:
    assert prompts.WORDINGS == (
        "A person's own notes are searched for the answer to the question below. Write {number} "
        "other wordings of it, with the words that such notes would use. One wording per line, "
        "without numbers, and nothing else.\n\nQuestion: {question}"
    )
    assert prompts.SUPPOSED_PASSAGE == (
        "Write the passage of a person's own notes that would answer the question below, in three "
        "sentences at most. Only the passage, without a heading, and nothing else.\n\n"
        "Question: {question}"
    )
    assert prompts.STANDALONE == (
        "Here is the end of a conversation and the question that follows it. Write the question "
        "so that it can be understood without the conversation: say what its pronouns stand for "
        "and change nothing else. One line, only the question.\n\n{turns}\n\nQuestion: {question}"
    )
    assert prompts.TURN == "{role}: {text}"
    assert prompts.NOT_HELD == "I hold nothing {asked}; {held}."


def test_training_and_answering_share_one_persona() -> None:
    assert prompts.PERSONA == (
        "You are the writing twin of {author}. You write in the first person, in their own voice."
    )
    assert prompts.GROUNDED == (
        "Say only what the passages say. Cite each statement with the number of its passage, like "
        "[1]. When the passages do not answer the question, say that you have not written about "
        "it, and nothing else."
    )
    trained = prompts.instructed("Write about stacks.", author="the author")
    answering = prompts.render("What is a stack?", [])
    assert answering[0].content == f"{trained[0].content} {prompts.GROUNDED}"


def test_a_teacher_is_asked_for_an_instruction_without_style() -> None:
    assert prompts.INSTRUCTION_OF == (
        "Below is a text by its author. Write the one instruction that somebody could have given "
        "for it: what it should be about and which facts it should hold, in plain words. Say "
        "nothing of its style, tone, length or author, and do not quote it. One sentence, only the "
        "instruction.\n\n{text}"
    )
