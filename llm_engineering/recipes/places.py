"""Where a job runs: this machine, or a SageMaker instance by the table.

Does not know: jobs' sizes, models.
"""

from pydantic import BaseModel, ConfigDict

from llm_engineering.domain.errors import InvalidInput
from llm_engineering.domain.training import DeviceUse
from llm_engineering.recipes.devices import detect_device, matmul_rate, memory_mb
from llm_engineering.recipes.launching import least_of_all, processes_for, processes_here
from llm_engineering.recipes.prices import INSTANCES

HERE = "this machine"


class Room(BaseModel):
    """What one process has to itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    device: DeviceUse
    """`count`: processes that share the work, each with a device of its own."""
    memory_mb: float
    """Of one device; without a GPU, this process's part of the machine's."""


class Place(Room):
    """And how fast it is, for what."""

    operations_per_s: float
    """Of matrix products on one device."""
    usd_per_hour: float | None = None


def room_here(device: DeviceUse) -> Room:
    """What is free of this machine now."""
    sharing = device.count if device.name == "cpu" else 1
    return Room(
        name=HERE, device=device, memory_mb=least_of_all(memory_mb(device) / sharing, device)
    )


def here(recipe: str) -> Place:
    """This machine with as many processes as `recipe` is run by, its rate measured."""
    processes = processes_here(recipe)
    found = detect_device()
    device = found.model_copy(
        update={"count": processes.count, "reason": f"{found.reason}; {processes.reason}"}
    )
    return Place(**room_here(device).model_dump(), operations_per_s=matmul_rate(device))


def there(instance: str, recipe: str, *, price: float | None = None) -> Place:
    """A SageMaker instance, by the table. Raises InvalidInput for one that is not in it."""
    if instance not in INSTANCES:
        known = ", ".join(INSTANCES)
        raise InvalidInput(f"no figures for instance {instance!r}; there are some for {known}")
    found = INSTANCES[instance]
    on_cpu = found.device == "CPU"
    processes = processes_for(recipe, devices=0 if on_cpu else found.count)
    return Place(
        name=instance,
        device=DeviceUse(
            name="cpu" if on_cpu else "cuda",
            precision="bfloat16" if found.multiplies_bf16 else "float32",
            reason=f"{found.count} x {found.device}; {processes.reason}",
            count=processes.count,
        ),
        memory_mb=found.memory_gb * 1e9 / 2**20,
        operations_per_s=found.tera * 1e12,
        usd_per_hour=found.usd_per_hour if price is None else price,
    )
