"""Sample the author's words, fine-tune on them, prefer them to the model's own, decide."""

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.configs import TrainingPipelineConfig
from steps.datasets import make_samples
from steps.training import decide, fine_tune_twin, prefer_own_words


@pipeline(name="training", enable_cache=False, execution_mode=ExecutionMode.FAIL_FAST)
def training(config: TrainingPipelineConfig) -> None:
    dataset, _page, _card = make_samples(config.datasets)
    report = fine_tune_twin(config.training, dataset)
    if config.training.preference.enabled:
        report = prefer_own_words(config.training, report)
    decide(config.training, report)
