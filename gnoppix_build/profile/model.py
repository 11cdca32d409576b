# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person writes: one profile, as types. Hostile until it is decoded."""

import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from gnoppix_build.language.leaves import (
    KebabName,
    Line,
    Name,
    PackageName,
    Plain,
    Size,
    matching,
    mistake,
    read_integer,
)

_EXTENDS: Final = re.compile(
    r"[a-z0-9][a-z0-9._-]*|([A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*\.yaml"
)
_MIRROR: Final = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%+-]+)*/?"


def check_extends(value: str) -> str:
    """Let a name of a profile pass, or a path that stays below the profile's folder."""
    if not _EXTENDS.fullmatch(value) or ".." in value.split("/"):
        raise mistake(
            "not-a-profile",
            f"`{value}` is neither the name of a profile nor a path below this folder",
            "write a name such as `common`, or a path such as `parts/common.yaml`",
        )
    return value


def read_off(value: object) -> object:
    """Read what takes an inherited component out."""
    if not isinstance(value, Plain) or value not in ("off", "false"):
        raise mistake(
            "not-options",
            f"a map of options or `off` is wanted here, not `{value}`",
            "write `{}` for the defaults",
        )
    return "off"


def _is_map(value: object) -> str:
    return "map" if isinstance(value, dict | BaseModel) else "other"


def _is_list(value: object) -> str:
    return "list" if isinstance(value, tuple) else "other"


_MIRROR_MARKS = matching(
    _MIRROR,
    "not-a-mirror",
    "the address of a mirror",
    "write `https://HOST/PATH`, with no user name or password",
)
_LOCALE_MARKS = matching(
    r"C\.UTF-8|[a-z]{2,3}_[A-Z]{2}\.UTF-8(@[a-z]+)?",
    "not-a-locale",
    "a locale",
    "write it as in `en_US.UTF-8` or `C.UTF-8`",
)
_KEYBOARD_MARKS = matching(
    "[a-z]{2,10}(:[a-z0-9_-]{1,30})?", "not-a-keyboard", "a keyboard layout", "write it as in `us`"
)
Mirror = Annotated[str, _MIRROR_MARKS[0], _MIRROR_MARKS[1]]
Locale = Annotated[str, _LOCALE_MARKS[0], _LOCALE_MARKS[1]]
Keyboard = Annotated[str, _KEYBOARD_MARKS[0], _KEYBOARD_MARKS[1]]
Extends = Annotated[str, AfterValidator(check_extends)]
Area = Literal["main", "contrib", "non-free", "non-free-firmware"]

RawOption = Annotated[
    Annotated[str, Tag("other")] | Annotated[tuple[str, ...], Tag("list")],
    Discriminator(_is_list),
]
"""An option as written; the component's manifest says what it means."""

ComponentEntry = Annotated[
    Annotated[
        Literal["off"],
        BeforeValidator(read_off),
        WithJsonSchema({"enum": ["off", False]}),
        Tag("other"),
    ]
    | Annotated[dict[KebabName, RawOption], Tag("map")],
    Discriminator(_is_map),
]


class Part(BaseModel):
    """A part of a profile: closed, frozen, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Packages(Part):
    """Another way with an inherited list of packages than to append to it."""

    replace: tuple[PackageName, ...] | None = None
    remove: tuple[PackageName, ...] = ()


class Areas(Part):
    """Another way with an inherited list of areas than to append to it."""

    replace: tuple[Area, ...] | None = None
    remove: tuple[Area, ...] = ()


class Machine(Part):
    """The least machine that the system must run on, in bytes."""

    memory: Size | None = None
    disk: Size | None = None


class IsoOutput(Part):
    """A hybrid live ISO."""

    compression: Literal["development", "release"] | None = None


class Outputs(Part):
    """What to build, by format."""

    iso: IsoOutput | None = None


class Profile(Part):
    """One profile file, before its parents are merged into it."""

    version: Annotated[Literal[1], BeforeValidator(read_integer)] = Field(
        description="The version of this format.", examples=[1]
    )
    name: Name = Field(description="The name of the image.", examples=["name"])
    summary: Line = Field(default="", description="What the image is for, in one line.")
    extends: tuple[Extends, ...] = Field(
        default=(), description="Profiles to start from: names, or paths below this folder."
    )
    suite: Literal["trixie"] | None = Field(default=None, description="The release of Debian.")
    areas: Annotated[
        Annotated[tuple[Area, ...], Tag("list")] | Annotated[Areas, Tag("map")],
        Discriminator(lambda value: "map" if _is_map(value) == "map" else "list"),
    ] = Field(default=(), description="The archive areas to take packages from.")
    architecture: Literal["amd64"] | None = Field(
        default=None, description="The processor to build for."
    )
    machine: Machine = Field(
        default_factory=Machine, description="The least machine that it must run on."
    )
    mirror: Mirror | None = Field(default=None, description="The mirror that images use.")
    locale: Locale | None = Field(default=None, description="Language and country.")
    keyboard: Keyboard | None = Field(default=None, description="The keyboard layout.")
    components: dict[KebabName, ComponentEntry] = Field(
        default_factory=dict, description="The components, each with its options."
    )
    packages: Annotated[
        Annotated[tuple[PackageName, ...], Tag("list")] | Annotated[Packages, Tag("map")],
        Discriminator(lambda value: "map" if _is_map(value) == "map" else "list"),
    ] = Field(default=(), description="Further Debian packages.")
    outputs: Outputs = Field(default_factory=Outputs, description="What to build.")
