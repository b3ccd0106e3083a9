"""How likely a model finds the author's held-out words: mean negative log likelihood of a token.

Does not know: adapters, trainers, what else is measured.
"""

from collections.abc import Sequence
from typing import Any

from llm_engineering.domain.training import DeviceUse, HeldOut
from llm_engineering.recipes.packing import Sequenced, collate, columns
from llm_engineering.recipes.turns import IGNORED


def held_out_loss(model: Any, sequences: Sequence[Sequenced], device: DeviceUse) -> HeldOut:
    """In nats per learnt token, all tokens of all rows alike; the model's mode is put back.

    One sequence at a time, and logits only where a token is learnt: a large vocabulary needs the
    memory of one sequence.
    """
    import torch

    table = columns(sequences)
    total, count = 0.0, 0
    was_training = model.training
    model.eval()
    cast = torch.autocast(device.name, torch.bfloat16, enabled=device.precision == "bfloat16")
    with torch.no_grad(), cast:
        for number in range(len(sequences)):
            batch = collate([{name: table[name][number] for name in table}], padding=0)
            batch = {name: values.to(device.name) for name, values in batch.items()}
            labels = batch.pop("labels")[0, 1:]
            places = (labels != IGNORED).nonzero().flatten()
            logits = model(**batch, use_cache=False, logits_to_keep=places).logits[0]
            total += float(
                torch.nn.functional.cross_entropy(logits.float(), labels[places], reduction="sum")
            )
            count += len(places)
    model.train(was_training)
    return HeldOut(rows=sum(len(s.rows) for s in sequences), loss=total / max(count, 1))
