# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `build-image`; a verb is a file below, found by name and loaded when it is used."""

import sys
from importlib import import_module, resources

import click

from gnoppix_build import __version__
from gnoppix_build.diagnostics import format_diagnostic
from gnoppix_build.effects.faults import Fault, MistakeFault

VERBS = "verbs"
INTERRUPTED = 130
BUG = 70


class Verbs(click.Group):
    """The folder `verbs`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs."""
        del ctx
        folder = resources.files(__package__) / VERBS
        names = (file.name for file in folder.iterdir())
        return sorted(
            name.removesuffix(".py") for name in names if name.endswith(".py") and name[0] != "_"
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a verb."""
        if cmd_name not in self.list_commands(ctx):
            return None
        verb: click.Command = import_module(f"{__package__}.{VERBS}.{cmd_name}").verb
        return verb


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="build-image")
def build_image() -> None:
    """Build and verify Debian-based privacy OS images from declarative profiles.

    \b
    build-image new desktop          write a profile to start from
    build-image validate minimal     look for mistakes
    build-image build minimal        make the image in out/minimal/
    build-image verify minimal       boot that image and check it

    Exit codes: 0 good, 1 a check failed, 2 usage, 3 profile, 4 environment, 5 a build step,
    6 network or mirror, 7 digest, 8 another build is running, 70 a bug, 130 interrupted.
    """  # noqa: D301 - Click's mark of lines that stay lines is the control character


def main() -> None:
    """Run the command; failures of the world become one message and their exit code."""
    try:
        status = build_image.main(prog_name="build-image", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except MistakeFault as fault:
        for diagnostic in fault.diagnostics:
            click.echo(format_diagnostic(diagnostic, fault.sources), err=True)
        sys.exit(fault.exit_code)
    except Fault as fault:
        click.echo(f"error[{fault.code}]: {fault.message}", err=True)
        if fault.hint:
            click.echo(f"  = hint: {fault.hint}", err=True)
        sys.exit(fault.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception:  # noqa: BLE001 - whatever it is, it ends with the exit code of a bug
        sys.excepthook(*sys.exc_info())
        click.echo("this is a bug of build-image: report it with the lines above", err=True)
        sys.exit(BUG)
    sys.exit(status if isinstance(status, int) else 0)
