"""What SageMaker says of a training job, in the words of `JobStatus`.

Does not know: how it was asked.
"""

from collections.abc import Mapping
from typing import Any

from llm_engineering.ports.jobs import JobState, JobStatus

_WAITING = {
    "Starting": "starting",
    "Pending": "waiting for machines",
    "LaunchingMLInstances": "waiting for machines",
    "PreparingTrainingStack": "preparing the machine",
    "Downloading": "downloading the job",
    "DownloadingTrainingImage": "downloading the image",
    "Interrupted": "its spot machine was taken away; waiting for another one",
    "Restarting": "restarting",
}
_STOPPED = {
    "MaxRuntimeExceeded": "it took longer than TWIN_JOBS__MAX_HOURS",
    "MaxWaitTimeExceeded": "no spot machine was free for long enough; set TWIN_JOBS__SPOT=false",
}


def status_of(found: Mapping[str, Any] | None) -> JobStatus:
    """`found`: the training job as it is described; None when it was never created."""
    if found is None:
        return JobStatus(state=JobState.FAILED, reason="it was never started")
    detail = str(found.get("SecondaryStatus", ""))
    match found["TrainingJobStatus"]:
        case "Completed":
            return JobStatus(state=JobState.COMPLETED)
        case "Failed":
            reason = " ".join(str(found.get("FailureReason") or "SageMaker gives none").split())
            return JobStatus(state=JobState.FAILED, reason=reason)
        case "Stopped":
            return JobStatus(state=JobState.STOPPED, reason=_STOPPED.get(detail, "on request"))
        case "Stopping":
            return JobStatus(state=JobState.RUNNING, reason="stopping")
    if detail in _WAITING:
        return JobStatus(state=JobState.QUEUED, reason=_WAITING[detail])
    return JobStatus(state=JobState.RUNNING)
