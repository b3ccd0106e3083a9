"""Which commit of this project's code is running."""

import subprocess
from pathlib import Path


def git_commit(folder: Path) -> str:
    """Hash of the checkout that `folder` is in, with `+` when something in it was changed.

    '' where there is no checkout or no git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
