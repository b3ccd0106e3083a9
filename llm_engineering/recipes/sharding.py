"""A base over several devices: each holds a part of every layer (FSDP2, arXiv 2304.11277).

Only the frozen base is cut up: before a layer computes, its parts are gathered, and let go of
after. The adapter is small and stays whole on every device, so its gradients are averaged as in any
data-parallel training, and checkpoints hold what they hold on one device. What is not in a layer
(embeddings, output layer) stays whole as well.

Does not know: adapters, trainers, whether a base fits.
"""

from collections.abc import Callable
from typing import Any

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DeviceUse


def load_sharded(read: Callable[[], Any], empty: Callable[[], Any], device: DeviceUse) -> Any:
    """The model that `read` gives on the CPU, over all processes of this run.

    One process reads it, one tensor at a time goes to the others; `empty` gives the same model
    without numbers, on torch's meta device. All processes must call it together.
    """
    from accelerate import PartialState
    from torch.distributed import broadcast
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    together = PartialState(cpu=device.name == "cpu")
    source = read() if together.is_main_process else None
    model = empty()
    model.requires_grad_(False)
    _cut_up(model, device, parts=together.num_processes)
    model.to_empty(device=together.device)
    model.tie_weights()
    set_model_state_dict(
        model,
        {} if source is None else source.state_dict(),
        options=StateDictOptions(full_state_dict=True, broadcast_from_rank0=True),
    )
    known: dict[str, Any] = {} if source is None else dict(source.named_buffers())
    for name, buffer in model.named_buffers():  # some are in no state: rotary frequencies
        if known:
            buffer.copy_(known[name])
        broadcast(buffer, src=0)
    return model


def _cut_up(model: Any, device: DeviceUse, *, parts: int) -> None:
    """Every layer by itself, then the stack of them, so that the next is fetched ahead."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.name, (parts,))
    decoder = model.get_decoder()
    layers = _layers_of(decoder)
    in_layers = {id(weight) for layer in layers for weight in layer.parameters()}
    whole = {weight for weight in decoder.parameters() if id(weight) not in in_layers}
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(decoder, mesh=mesh, ignored_params=whole)


def _layers_of(decoder: Any) -> list[Any]:
    """Raises InvalidInput for a model that is built in another way."""
    layers = list(getattr(decoder, "layers", ()))
    if not layers:
        raise InvalidInput(
            f"a {type(decoder).__name__} cannot be cut up over several devices; name another base, "
            "or one that fits on one device"
        )
    return layers


def hide_from_averaging(model: Any) -> None:
    """Data-parallel training is to leave alone what is frozen: it would copy it between devices."""
    from torch.nn.parallel import DistributedDataParallel

    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    # The name begins with an underscore, and its docstring is what users are pointed to.
    ignore: Any = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model  # noqa: SLF001
    ignore(model, frozen)
