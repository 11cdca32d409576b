# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be built, as the lists of jobs that CI systems take."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

# The job of docs/ci/gitlab-build.yml that every job of a child pipeline is made from.
GITLAB_TEMPLATE: Final = ".build-image"


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """One image to build: `profile` is what `build` takes, `folder` where its results go.

    `lock` is what `build --lock` takes, None if none was put there. `digest` is that of all that
    goes into the image; None when the profile has no lock yet.
    """

    profile: str
    name: str
    output: str
    folder: str
    image: str
    lock: str | None
    digest: str | None


def matrix_text(builds: Sequence[ImageBuild]) -> str:
    """Give a line a build."""
    width = max(len(build.profile) for build in builds)
    return "".join(f"{build.profile:<{width}}  {build.output}  {build.image}\n" for build in builds)


def matrix_document(builds: Sequence[ImageBuild]) -> Mapping[str, Any]:
    """Give the builds for programs of one's own."""
    return {"builds": [asdict(build) for build in builds]}


def matrix_github(builds: Sequence[ImageBuild]) -> str:
    """Give the value of `strategy.matrix`, on one line, as `$GITHUB_OUTPUT` wants it.

    Source: GitHub's documentation of `jobs.<job_id>.strategy.matrix.include`.
    """
    return json.dumps({"include": [asdict(build) for build in builds]}) + "\n"


def matrix_gitlab(builds: Sequence[ImageBuild]) -> str:
    """Give a child pipeline, a job a build; JSON is YAML, so nothing in it ends a value early.

    GitLab expands `$NAME` in values, and takes `$$` for a dollar sign.
    """
    return json.dumps({_job_name(build): _job(build) for build in builds}, indent=2) + "\n"


def _job_name(build: ImageBuild) -> str:
    return f"{build.name} {build.output}"


def _job(build: ImageBuild) -> Mapping[str, Any]:
    variables = {
        key.upper(): (value or "").replace("$", "$$") for key, value in asdict(build).items()
    }
    return {"extends": GITLAB_TEMPLATE, "variables": variables}
