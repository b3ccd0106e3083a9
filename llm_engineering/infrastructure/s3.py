"""A folder in a bucket: small records, and archives of folders, packed and unpacked with care.

Does not know: what is in them.
"""

import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_engineering.domain.errors import BackendUnavailable, InvalidInput
from llm_engineering.infrastructure.aws import Aws, aws_errors, code_of

_ABSENT = {"404", "NoSuchKey", "NotFound"}


@dataclass(frozen=True)
class S3Folder:
    """Everything below `prefix`, which ends without a slash, of `bucket`."""

    aws: Aws
    bucket: str
    prefix: str

    def uri(self, name: str) -> str:
        return f"s3://{self.bucket}/{self._key(name)}"

    def read(self, name: str) -> bytes | None:
        """None when there is no such object."""
        from botocore.exceptions import ClientError

        with aws_errors(f"read {self.uri(name)}"):
            try:
                found = self.aws.s3.get_object(Bucket=self.bucket, Key=self._key(name))
                content: bytes = found["Body"].read()
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return None
                raise
        return content

    def write(self, name: str, content: bytes) -> None:
        with aws_errors(f"write {self.uri(name)}"):
            self.aws.s3.put_object(Bucket=self.bucket, Key=self._key(name), Body=content)

    def delete(self, name: str) -> None:
        with aws_errors(f"delete {self.uri(name)}"):
            self.aws.s3.delete_object(Bucket=self.bucket, Key=self._key(name))

    def folders(self, name: str) -> Sequence[str]:
        """Names of the folders in the folder `name`."""
        start = f"{self._key(name)}/"
        with aws_errors(f"list {self.uri(name)}"):
            pages = self.aws.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start, Delimiter="/"
            )
            return [
                found["Prefix"].removeprefix(start).removesuffix("/")
                for page in pages
                for found in page.get("CommonPrefixes", ())
            ]

    def upload_packed(self, folder: Path, name: str) -> None:
        """`folder` as one .tar.gz; links in it are followed. Raises BackendUnavailable."""
        try:
            with tempfile.TemporaryFile() as file:
                with tarfile.open(
                    fileobj=file, mode="w:gz", dereference=True, compresslevel=1
                ) as tar:
                    tar.add(folder, arcname=".", filter=_nobodys)
                file.seek(0)
                with aws_errors(f"write {self.uri(name)}"):
                    _uploaded(self.aws.s3, file, self.bucket, self._key(name))
        except OSError as error:
            raise BackendUnavailable(
                f"cannot pack {folder}: {error.strerror or error}; "
                "check its permissions and the free space in the folder for temporary files"
            ) from None

    def download(self, uri: str, path: Path) -> None:
        """The object at `uri`, of any bucket, as the file `path`. OSErrors are the caller's."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        with aws_errors(f"read {uri}"):
            self.aws.s3.download_file(bucket, key, str(path))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name


def unpack(archive: Path, into: Path) -> None:
    """Files and folders of the archive below `into`, and nothing else anywhere.

    Raises BackendUnavailable for a damaged archive, and for one with links, devices or paths that
    lead out; OSErrors are the caller's.
    """
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(into, filter=_plain)  # noqa: S202 (the filter lets nothing out)
    except (tarfile.TarError, EOFError) as error:
        what = " ".join(str(error).split())
        raise BackendUnavailable(
            f"cannot unpack what came back: {what}; run the job again"
        ) from None


def _plain(member: tarfile.TarInfo, into: str) -> tarfile.TarInfo | None:
    if not (member.isfile() or member.isdir()):
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, into)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the name of the person who packed it."""
    if not (member.isfile() or member.isdir()):
        raise InvalidInput(
            f"{member.name} in the job's folder is neither file nor folder; remove it"
        )
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _uploaded(s3: Any, file: Any, bucket: str, key: str) -> None:
    from boto3.exceptions import S3UploadFailedError

    try:
        s3.upload_fileobj(file, bucket, key)
    except S3UploadFailedError as error:
        cause = error.__cause__ or error.__context__
        raise (cause or error) from None
