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
