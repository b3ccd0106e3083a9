"""Whether an OpenVINO export chooses the tokens that its model chooses.

Does not know: how it was exported.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_engineering.domain.templates import rendered

LEAST = 0.9
"""Of the next tokens; weights of 8 bits change a few near-ties."""
PROMPTS = (
    "Write about what you have learnt this week.",
    "Explain a tool that you use every day.",
    "What would you tell somebody who begins?",
)
CONTINUED = 32
"""Tokens that the model says to each prompt, greedily; both are then asked at every place."""


def agreement(model: Path, exported: Path) -> float:
    """Share of places at which both find the same next token likeliest."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    reference: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    infer = _opened(exported)
    same: list[NDArray[np.bool_]] = []
    for prompt in PROMPTS:
        text = rendered(tokenizer, [{"role": "user", "content": prompt}], answer_next=True)
        asked = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            ids = reference.generate(**asked, max_new_tokens=CONTINUED, do_sample=False)
            theirs = reference(input_ids=ids).logits[0].argmax(-1).numpy()
        same.append(infer(ids.numpy()).argmax(-1) == theirs)
    return float(np.concatenate(same).mean())


def _opened(exported: Path) -> Any:
    """Token ids (1, length) -> logits (length, vocabulary), each time from the beginning."""
    import openvino

    # f32: the conversion is judged, and not the bf16 that a CPU may compute in
    compiled = openvino.Core().compile_model(
        exported / "openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    request = compiled.create_infer_request()

    def infer(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        request.reset_state()
        length = ids.shape[1]
        found = request.infer(
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "position_ids": np.arange(length)[None],
                "beam_idx": np.zeros(1, dtype=np.int32),
            }
        )
        logits: NDArray[np.float32] = found["logits"][0]
        return logits

    return infer
