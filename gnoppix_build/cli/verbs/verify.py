# SPDX-License-Identifier: GPL-3.0-or-later
"""`build-image verify`."""

from pathlib import Path

import click

from gnoppix_build.cli.options import (
    components_option,
    profile_argument,
    result_option,
    ssh_configuration_option,
)

TIERS = ("static", "boot", "secure-boot", "traffic", "offline")


@click.command()
@profile_argument
@components_option
@result_option
@click.option(
    "--host",
    metavar="HOST",
    help="A machine in place of an image: `local` or `ssh://[USER@]HOST[:PORT]`.",
)
@ssh_configuration_option
@click.option(
    "--tier",
    "tiers",
    type=click.Choice(TIERS),
    multiple=True,
    default=TIERS,
    help="Only this tier; may be given several times (default: all).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="The form of what is printed.",
)
def verb(
    *,
    profile: str,
    folders: tuple[Path, ...],
    folder: Path | None,
    host: str | None,
    ssh_configuration: Path | None,
    tiers: tuple[str, ...],
    form: str,
) -> int:
    """Check a built image, its files and the unmodified ISO booted in QEMU; or a machine.

    The tier `static` looks at the tree and runs none of its code. The others boot the ISO through
    its own boot loader: `boot` by BIOS, with all checks of a running system; `secure-boot` by UEFI
    with Secure Boot on; `traffic` by UEFI as well, on a network that lies and scans, and judges
    every frame that it sends. These two share a boot. `offline` boots by BIOS where there is no
    network card, if the profile has components that promise to work there: local AI answers. The
    reports are kept beside the ISO.

    With a host, the checks of its files and of the running system are run there, and each file and
    unit that differs from the profile is told. Exit code 1 says that a check failed. Needs root.
    """
    from gnoppix_build.cli import locks, session
    from gnoppix_build.cli.verify import verify_image
    from gnoppix_build.report.finding import judge_findings
    from gnoppix_build.report.json_document import report_json
    from gnoppix_build.report.junit import report_junit
    from gnoppix_build.report.text import report_text

    reports = {"text": report_text, "json": report_json, "junit": report_junit}
    if host is not None:
        from gnoppix_build.cli.provision import read_addresses
        from gnoppix_build.cli.verify_host import verify_machine

        resolved = session.require_profile(profile, folders, "machine")
        (address,) = read_addresses((host,))
        findings = verify_machine(profile, folders, resolved, address, ssh_configuration)
        click.echo(reports[form](address.name, findings), nl=False)
        return 0 if judge_findings(findings) == "pass" else 1
    resolved = session.require_profile(profile, folders)
    result = locks.result_folder(folder, resolved)
    findings = verify_image(profile, folders, resolved, result, tiers)
    name = f"{resolved.name}.iso"
    click.echo(reports[form](name, findings), nl=False)
    click.echo(f"report: {result / 'verify.json'}", err=True)
    return 0 if judge_findings(findings) == "pass" else 1
