# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a stock machine: GRUB on one, and Debian on the other."""

import uuid
from pathlib import Path

from lab_root import only_path
from net_namespace import check_output

from gnoppix_build.effects.process import isolated, place_of_binding

PACKAGES = (
    *("e2fsprogs", "grub-pc-bin", "grub2-common", "initramfs-tools"),
    *("linux-image-amd64", "zstd"),
)
LOADER, DISK = "loader.img", "root.img"
DISK_SIZE = "4G"
PLACE = place_of_binding("machine")
GRUB = "usr/lib/grub/i386-pc"
# What GRUB has in itself to find the rest of it on the disk of Debian.
BUILT_IN = ("biosdisk", "ext2", "normal", "search_fs_uuid")
FIND_DEBIAN = "search.fs_uuid {disk} root\nset prefix=($root)/boot/grub\n"
# As the installer left it; what is written anew is grub-mkconfig's.
MENU = "linux {kernel} root=UUID={disk} ro console=ttyS0\ninitrd {initrd}\nboot\n"
GRUB_SETTINGS = 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="console=ttyS0"\n'
FSTAB = "UUID={disk} / ext4 errors=remount-ro 0 1\n"
# Half a minute where all drivers of Debian would take five.
INITRD_SETTINGS = "MODULES=dep\n"
NETWORK = "[Match]\nType=ether\n[Network]\nAddress={address}/24\nGateway={gateway}\n"
# Arguments: Debian's tree, a folder with what lies over it, and a command, which finds both as one
# in the folder. The mount is this process's alone.
OVERLAID = """
set -e
mkdir -p "$2/scratch" "$2/tree"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/scratch" overlay "$2/tree"
shift 2
exec "$@"
"""


def furnish_disk(root: Path, work: Path, address: str, gateway: str) -> str:
    """Write what the machine of a disk has beside the packages in `root`; gives the disk's UUID."""
    disk, own = str(uuid.uuid4()), work / "upper"
    kernel = f"/{only_path(root, 'boot/vmlinuz-*').relative_to(root)}"
    release = kernel.removeprefix("/boot/vmlinuz-")
    initrd = f"/boot/initrd.img-{release}"
    wanted = own / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
    files = {
        "boot/grub/grub.cfg": MENU.format(kernel=kernel, initrd=initrd, disk=disk),
        "etc/default/grub": GRUB_SETTINGS,
        "etc/initramfs-tools/conf.d/modules": INITRD_SETTINGS,
        "etc/fstab": FSTAB.format(disk=disk),
        "etc/systemd/network/10-lan.network": NETWORK.format(address=address, gateway=gateway),
    }
    for path, text in files.items():
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        (own / path).write_text(text)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    wanted.symlink_to("/usr/lib/systemd/system/systemd-networkd.service")
    check_output(("cp", "--recursive", root / GRUB, own / "boot/grub"))
    # Installed as a tool, the kernel has got none.
    (work / "tree").mkdir()
    make = ("mkinitramfs", "-o", f"{PLACE}/upper{initrd}", release)
    check_output(_in_tree(root, work, make))
    return disk


def make_disks(root: Path, work: Path, disk: str) -> None:
    """Make both disks in `work` of Debian's tree and of what `upper` there has beside it."""
    (work / "early.cfg").write_text(FIND_DEBIAN.format(disk=disk))
    early, core = f"--config={PLACE}/early.cfg", f"--output={PLACE}/core.img"
    grub = ("grub-mkimage", "--format=i386-pc", "--prefix=/boot/grub", early, core, *BUILT_IN)
    check_output(_in_tree(root, work, grub))
    boot_sector = (root / GRUB / "boot.img").read_bytes()
    with (work / LOADER).open("wb") as loader:
        loader.write(boot_sector + (work / "core.img").read_bytes())
        loader.truncate(1 << 20)
    make = ("mke2fs", "-q", "-t", "ext4", "-U", disk)
    command = _in_tree(
        root, work, (*make, "-d", place_of_binding("tree"), f"{PLACE}/{DISK}", DISK_SIZE)
    )
    check_output(("unshare", "--mount", "sh", "-c", OVERLAID, "sh", root, work, *command))


def _in_tree(root: Path, work: Path, argv: tuple[str, ...]) -> tuple[str, ...]:
    folders = ("/tmp", "/var/tmp")
    places = {"machine": work, "tree": work / "tree"}
    return isolated(argv, root=root, bindings=places, tmpfs=folders)
