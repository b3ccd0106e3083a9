"""SageMaker's training instances: what they have, and what they cost when the table was made.

Does not know: jobs; the price of today.
"""

from pydantic import BaseModel, ConfigDict

PRICES_OF = "2025-01"
"""On demand, us-east-1. A guide: look up today's before a long run."""


class Instance(BaseModel):
    """A training instance; its devices are all alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    count: int
    memory_gb: float
    """Of one GPU; without one, of the machine."""
    tera: float
    """Dense operations per second of one device, in 10^12, by its maker: 16 bits wide where it
    multiplies bf16, else 32."""
    usd_per_hour: float

    @property
    def multiplies_bf16(self) -> bool:
        """What `detect_device` finds there; without, training is in f32."""
        return self.device not in ("CPU", "T4")


INSTANCES = {
    "ml.m5.2xlarge": Instance(device="CPU", count=1, memory_gb=32, tera=0.3, usd_per_hour=0.461),
    "ml.g4dn.xlarge": Instance(device="T4", count=1, memory_gb=16, tera=8.1, usd_per_hour=0.736),
    "ml.g5.xlarge": Instance(device="A10G", count=1, memory_gb=24, tera=70, usd_per_hour=1.408),
    "ml.g5.2xlarge": Instance(device="A10G", count=1, memory_gb=24, tera=70, usd_per_hour=1.515),
    "ml.g5.12xlarge": Instance(device="A10G", count=4, memory_gb=24, tera=70, usd_per_hour=7.09),
    "ml.g6.xlarge": Instance(device="L4", count=1, memory_gb=24, tera=121, usd_per_hour=1.006),
    "ml.p4d.24xlarge": Instance(device="A100", count=8, memory_gb=40, tera=312, usd_per_hour=37.7),
    "ml.p5.48xlarge": Instance(device="H100", count=8, memory_gb=80, tera=989, usd_per_hour=113.1),
}
