# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of a QEMU that boots an image as a customer's machine would."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from gnoppix_build.effects.guest_channel import PORT_NAME, credential_string, shell_credentials

Firmware = Literal["bios", "uefi-secure-boot"]
OVMF = "/usr/share/OVMF"
HARDWARE_ADDRESS = "52:54:00:12:34:56"
"""What the card was made with, as the guest sees it."""


@dataclass(frozen=True)
class MachinePlaces:
    """Where QEMU finds its files (inside the tools tree) and its sockets (descriptors)."""

    iso: str
    scratch: str
    recording: str
    serial_log: str
    shell_socket: int
    monitor_socket: int


@dataclass(frozen=True)
class OwnLan:
    """QEMU's network: an address, a router and a name server, and nothing behind them."""


@dataclass(frozen=True)
class SocketLan:
    """A network at the other end of a connected stream socket: a length, then a frame."""

    descriptor: int


@dataclass(frozen=True)
class TapLan:
    """A network that a tap, given by its descriptor, is a port of."""

    descriptor: int


@dataclass(frozen=True)
class NoLan:
    """No network, and no card that it could be reached by."""


Lan = OwnLan | SocketLan | TapLan | NoLan


@dataclass(frozen=True)
class MachineSize:
    """The processors and the memory of a machine."""

    processors: int = 2
    memory_mib: int = 2048

    @classmethod
    def with_memory(cls, memory: int | None) -> "MachineSize":
        """Give one with this memory, in bytes; None is the usual memory."""
        return cls() if memory is None else cls(memory_mib=memory // 1024**2)


def descriptors_of(lan: Lan) -> tuple[int, ...]:
    """Name the descriptors that QEMU inherits for a network."""
    match lan:
        case OwnLan() | NoLan():
            return ()
        case SocketLan(descriptor) | TapLan(descriptor):
            return (descriptor,)
        case _:
            assert_never(lan)


def machine_command(
    places: MachinePlaces,
    firmware: Firmware,
    size: MachineSize,
    lan: Lan,
    credentials: Mapping[str, str],
    *,
    kvm: bool,
    hardware_clock: datetime | None = None,
) -> tuple[str, ...]:
    """Give the whole command; writes go to snapshots that vanish with QEMU.

    `credentials`: name -> text, beside those that open the shell. `hardware_clock`: what it shows
    at the start, in UTC, in place of the right time.
    """
    return (
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"),
        *_accelerator_arguments(kvm=kvm),
        *("-smp", str(size.processors), "-m", str(size.memory_mib)),
        *_firmware_arguments(firmware),
        *_disk_arguments(places),
        *_network_arguments(places, lan),
        *_credential_arguments(credentials),
        *_clock_arguments(hardware_clock),
        *_channel_arguments(places),
    )


def probe_command(console: str) -> tuple[str, ...]:
    """Give a command that runs SeaBIOS under KVM, its messages going to the file `console`.

    Source: SeaBIOS Debugging (the debug port 0x402).
    """
    return (
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-display", "none", "-m", "64"),
        *_accelerator_arguments(kvm=True),
        *("-chardev", f"file,id=console,path={console}"),
        *("-device", "isa-debugcon,iobase=0x402,chardev=console"),
    )


def _accelerator_arguments(*, kvm: bool) -> tuple[str, ...]:
    if kvm:
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "Nehalem")


def _firmware_arguments(firmware: Firmware) -> tuple[str, ...]:
    match firmware:
        case "bios":
            return ("-machine", "q35")
        case "uefi-secure-boot":
            return (
                *("-machine", "q35,smm=on"),
                *("-global", "driver=cfi.pflash01,property=secure,value=on"),
                "-drive",
                f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.secboot.fd",
                "-drive",
                f"if=pflash,unit=1,format=raw,snapshot=on,file={OVMF}/OVMF_VARS_4M.ms.fd",
            )
        case _:
            assert_never(firmware)


def _disk_arguments(places: MachinePlaces) -> tuple[str, ...]:
    return (
        *("-drive", f"if=none,id=iso,media=cdrom,readonly=on,format=raw,file={places.iso}"),
        *("-device", "ide-cd,bus=ide.0,drive=iso,bootindex=1"),
        # Not attached to the machine: the place for saved states.
        *("-drive", f"if=none,id=states,format=raw,snapshot=on,file={places.scratch}"),
    )


def _network_arguments(places: MachinePlaces, lan: Lan) -> tuple[str, ...]:
    """Give a card in a network, and record what goes through it.

    QEMU's `restrict=on` would offer no router, and a guest without a route leaks nothing by
    accident. Nothing gets out all the same: QEMU runs in a network namespace that has no
    interface.
    """
    if isinstance(lan, NoLan):
        return ("-nic", "none")
    return (
        *("-netdev", _backend(lan)),
        *("-device", f"virtio-net-pci,netdev=lan,mac={HARDWARE_ADDRESS},romfile="),
        "-object",
        f"filter-dump,id=recording,netdev=lan,maxlen=65536,file={places.recording}",
    )


def _backend(lan: OwnLan | SocketLan | TapLan) -> str:
    match lan:
        case OwnLan():
            return "user,id=lan"
        case SocketLan(descriptor):
            return f"stream,id=lan,server=off,addr.type=fd,addr.str={descriptor}"
        case TapLan(descriptor):
            return f"tap,id=lan,fd={descriptor}"
        case _:
            assert_never(lan)


def _credential_arguments(credentials: Mapping[str, str]) -> tuple[str, ...]:
    strings = (credential_string(name, text) for name, text in credentials.items())
    return tuple(
        argument
        for string in (*shell_credentials(), *strings)
        for argument in ("-smbios", f"type=11,value={string}")
    )


def _clock_arguments(hardware_clock: datetime | None) -> tuple[str, ...]:
    if hardware_clock is None:
        return ()
    return ("-rtc", f"base={hardware_clock:%Y-%m-%dT%H:%M:%S}")


def _channel_arguments(places: MachinePlaces) -> tuple[str, ...]:
    return (
        *("-device", "virtio-serial", "-chardev", f"socket,id=shell,fd={places.shell_socket}"),
        *("-device", f"virtserialport,chardev=shell,name={PORT_NAME}"),
        *("-chardev", f"socket,id=monitor,fd={places.monitor_socket}"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"file,id=serial,path={places.serial_log}", "-serial", "chardev:serial"),
        *("-device", "virtio-rng-pci"),
    )
