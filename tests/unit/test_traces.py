# SPDX-License-Identifier: GPL-3.0-or-later
"""What gives the build host away is found, in each layer by itself."""

from pathlib import Path

from gnoppix_build.effects.image import OpenImage, trace_layers


def test_trace_in_a_lower_layer_is_found(tmp_path: Path) -> None:
    base, upper = tmp_path / "base", tmp_path / "upper"
    for layer in (base, upper):
        (layer / "etc").mkdir(parents=True)
    (base / "etc" / "hostname").write_text("buildhost\n")
    (upper / "etc" / "hostname").write_text("host\n")
    (upper / "etc" / "link").symlink_to("/srv/buildhost/file")
    (upper / "etc" / "innocent").write_text("buildhosts are many\n")
    image = OpenImage(tmp_path, {"base": base, "upper": upper})
    assert trace_layers(image, (b"buildhost",), ()) == {
        "base": ["/etc/hostname"],
        "upper": ["/etc/link"],
    }


def test_short_name_is_looked_for_in_the_configuration_only(tmp_path: Path) -> None:
    for folder in ("etc", "usr"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("vm\n")
    image = OpenImage(tmp_path, {"base": tmp_path})
    (tmp_path / "etc" / "settings").write_text("vm.swappiness = 100\n")
    assert trace_layers(image, (), (b"vm",)) == {"base": ["/etc/file"]}
