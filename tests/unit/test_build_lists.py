# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of builds, whole, and read the way the CI systems read them."""

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from gnoppix_build.report.matrix import (
    ImageBuild,
    matrix_document,
    matrix_github,
    matrix_gitlab,
    matrix_text,
)

DESK = ImageBuild(
    profile="profiles/$desk.yaml",
    name="desk",
    output="iso",
    folder="out/desk",
    image="out/desk/desk.iso",
    lock="out/desk/desk.lock",
    digest="0123abcd",
)
LONE = ImageBuild("lone", "lone", "iso", "out/lone", "out/lone/lone.iso", None, None)
builds = st.lists(
    st.builds(
        ImageBuild, *(st.text() for _ in range(5)), *(st.text() | st.none() for _ in range(2))
    ),
    min_size=1,
)


def test_people_read_a_line_a_build() -> None:
    assert matrix_text([DESK, LONE]) == (
        "profiles/$desk.yaml  iso  out/desk/desk.iso\nlone                 iso  out/lone/lone.iso\n"
    )


def test_programs_read_all_there_is() -> None:
    assert matrix_document([DESK, LONE]) == {
        "builds": [
            {
                "profile": "profiles/$desk.yaml",
                "name": "desk",
                "output": "iso",
                "folder": "out/desk",
                "image": "out/desk/desk.iso",
                "lock": "out/desk/desk.lock",
                "digest": "0123abcd",
            },
            {
                "profile": "lone",
                "name": "lone",
                "output": "iso",
                "folder": "out/lone",
                "image": "out/lone/lone.iso",
                "lock": None,
                "digest": None,
            },
        ]
    }


@given(builds)
def test_github_reads_one_line(listed: list[ImageBuild]) -> None:
    (line, rest) = matrix_github(listed).split("\n")
    assert (line.isprintable(), rest) == (True, "")
    assert json.loads(line)["include"] == matrix_document(listed)["builds"]


def test_gitlab_reads_a_job_a_build() -> None:
    pipeline = yaml.safe_load(matrix_gitlab([DESK, LONE]))
    assert pipeline == {
        "desk iso": {
            "extends": ".build-image",
            "variables": {
                "PROFILE": "profiles/$$desk.yaml",
                "NAME": "desk",
                "OUTPUT": "iso",
                "FOLDER": "out/desk",
                "IMAGE": "out/desk/desk.iso",
                "LOCK": "out/desk/desk.lock",
                "DIGEST": "0123abcd",
            },
        },
        "lone iso": {
            "extends": ".build-image",
            "variables": {
                "PROFILE": "lone",
                "NAME": "lone",
                "OUTPUT": "iso",
                "FOLDER": "out/lone",
                "IMAGE": "out/lone/lone.iso",
                "LOCK": "",
                "DIGEST": "",
            },
        },
    }
