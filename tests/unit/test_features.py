# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the system, in files beside components: shipped ones and those of one's own."""

from pathlib import Path

from gnoppix_build.catalog.load import COMPONENTS_FOLDER, Catalog, load_catalog
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.sources import SourceFolders
from gnoppix_build.language.source import PACKAGE_FOLDER

OWN = """\
features:
  paper:
    summary: the printer has paper
    needed-by:
      - packages: [cups]
        because: it prints
"""


def load_beside(folder: Path, features: str, manifest: str = "") -> Catalog:
    (folder / "features.yaml").write_text(features)
    if manifest:
        (folder / "office").mkdir()
        (folder / "office" / "component.yaml").write_text(manifest)
    reader = SourceFolders([PACKAGE_FOLDER, folder])
    return load_catalog([COMPONENTS_FOLDER, folder], reader)


def told(catalog: Catalog, folder: Path) -> list[str]:
    texts = (format_diagnostic(each, catalog.sources) for each in catalog.diagnostics)
    return [text.replace(f"{folder}/", "") for text in texts]


def test_features_of_ones_own_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    manifest = "kind: system\nsummary: x\ntakes-away:\n  - {name: paper, because: of a strike}\n"
    catalog = load_beside(tmp_path, OWN, manifest)
    assert told(catalog, tmp_path) == []
    assert {"paper", "user-namespaces"} <= set(catalog.features)


def test_feature_that_no_file_describes_is_a_mistake(tmp_path: Path) -> None:
    manifest = "kind: system\nsummary: x\nneeds:\n  - {name: papers, because: of the law}\n"
    (message,) = told(load_beside(tmp_path, OWN, manifest), tmp_path)
    assert message == (
        "office/component.yaml:4:12: error[unknown-feature]: there is no feature `papers`\n"
        "  |\n"
        "4 |   - {name: papers, because: of the law}\n"
        "  |            ^^^^^^\n"
        "  = hint: did you mean `paper`?"
    )


def test_feature_that_an_egress_spares_is_looked_up(tmp_path: Path) -> None:
    egress = "egress:\n  - user: root\n    protocol: tcp\n    spares:\n"
    spared = "      - {name: papers, because: of the law}\n"
    manifest = f"kind: system\nsummary: x\n{egress}{spared}"
    (message,) = told(load_beside(tmp_path, OWN, manifest), tmp_path)
    assert message == (
        "office/component.yaml:7:16: error[unknown-feature]: there is no feature `papers`\n"
        "  |\n"
        "7 |       - {name: papers, because: of the law}\n"
        "  |                ^^^^^^\n"
        "  = hint: did you mean `paper`?"
    )


def test_feature_that_two_files_describe_is_a_mistake(tmp_path: Path) -> None:
    catalog = load_beside(tmp_path, "features:\n  kexec: {summary: another kernel}\n")
    (message,) = told(catalog, tmp_path)
    head, *_, note = message.split("\n")
    assert head == "features.yaml:2:3: error[feature-twice]: there are two features `kexec`"
    assert note.startswith("  = note: gnoppix_build/components/features.yaml:")


def test_mistake_in_a_feature_has_its_place(tmp_path: Path) -> None:
    catalog = load_beside(tmp_path, OWN.replace("[cups]", "['cups; reboot']"))
    (message,) = told(catalog, tmp_path)
    assert message == (
        "features.yaml:5:20: error[not-a-glob]: `cups; reboot` is not a name or a pattern with "
        "`*`\n"
        "  |\n"
        "5 |       - packages: ['cups; reboot']\n"
        "  |                    ^^^^^^^^^^^^^^"
    )
