"""The log lines of training jobs, out of CloudWatch, under numbers that stay.

A job has one stream per start of its container: a spot instance that was taken away and replaced
begins another one. Lines reach CloudWatch some seconds late.
Does not know: what a run is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_engineering.infrastructure.aws import Aws, aws_errors, code_of

GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass
class JobLogs:
    """The lines of some training jobs that were read so far; reading goes on where it was left.

    A line keeps its number: whatever comes late, of an earlier stream or job, is appended.
    """

    aws: Aws
    lines: list[str] = field(default_factory=list)
    _tokens: dict[str, str] = field(default_factory=dict)
    """Stream -> where its next page begins."""

    def read(self, jobs: Sequence[str]) -> Sequence[str]:
        """All lines until now, those of `jobs` in their order."""
        with aws_errors("read the log"):
            for job in jobs:
                for stream in self._streams(job):
                    self._read_stream(stream)
        return self.lines

    def _streams(self, job: str) -> list[str]:
        from botocore.exceptions import ClientError

        pages = self.aws.logs.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, logStreamNamePrefix=f"{job}/"
        )
        try:
            found = [stream for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":  # no job has said anything yet
                return []
            raise
        found.sort(key=lambda stream: (stream.get("creationTime", 0), stream["logStreamName"]))
        return [str(stream["logStreamName"]) for stream in found]

    def _read_stream(self, stream: str) -> None:
        while True:
            token = self._tokens.get(stream)
            page = self.aws.logs.get_log_events(
                logGroupName=GROUP,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            self.lines += [_shown(event["message"]) for event in page["events"]]
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:  # the end, for now
                return


def _shown(message: str) -> str:
    """A bar redraws its line after each carriage return: what it came to in the end."""
    return message.rstrip("\r\n").rpartition("\r")[2]
