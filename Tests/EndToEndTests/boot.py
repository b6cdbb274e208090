"""Boots a bare Debian with a real systemd, and runs a page's commands there: boot.py DEBIAN PACKAGE PAGE

DEBIAN is a folder that debootstrap made, with a kernel in boot/. The machine has its files in memory, no network and
no disk; it ends by itself. Prints what it said. Needs qemu-system-x86_64 and cpio; it takes some minutes, since the
machine is emulated.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

debian, package, page = sys.argv[1:4]
kernel = sorted(glob.glob(debian + "/boot/vmlinuz-*"))[-1]


def blocks(page):
    """The commands of a page."""
    return re.findall(r"^ *```sh\n(.*?)^ *```$", open(page).read(), re.S | re.M)


UNIT = """[Unit]
Description=The page
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/page.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStopPost=/bin/systemctl poweroff --force --force
"""

with tempfile.TemporaryDirectory() as work:
    extra = work + "/extra"
    os.makedirs(extra + "/root")
    os.makedirs(extra + "/etc/systemd/system/default.target.wants")
    shutil.copy(package, extra + "/root/")
    with open(extra + "/root/page.sh", "w") as file:
        file.write("cd /root; export HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin\n")
        for number, block in enumerate(blocks(page), 1):
            with open(f"{extra}/root/block{number}", "w") as script:
                script.write(block)
            file.write(f"echo '--- block {number}'; cat block{number}; bash -e block{number} </dev/null 2>&1 || "
                       f"{{ echo \"block {number} ended with status $?\"; journalctl -n 40 --no-pager; exit 1; }}\n")
        file.write("echo 'the page is done'\n")
    with open(extra + "/etc/systemd/system/page.service", "w") as file:
        file.write(UNIT)
    os.symlink("/etc/systemd/system/page.service", extra + "/etc/systemd/system/default.target.wants/page.service")
    os.makedirs(extra + "/etc/apt/apt.conf.d")
    with open(extra + "/etc/apt/apt.conf.d/99small", "w") as file:
        file.write('APT::Install-Recommends "false";\n')
    os.symlink("/dev/null", extra + "/etc/systemd/system/serial-getty@ttyS0.service")
    with open(extra + "/etc/fstab", "w"):
        pass
    initrd = work + "/initrd"
    with open(initrd, "wb") as file:
        for folder in (debian, extra):
            # The kernel takes one archive after the other.
            find = subprocess.Popen(["find", ".", "-path", "./usr/lib/modules", "-prune", "-o", "-path", "./boot",
                                     "-prune", "-o", "-print0"], cwd=folder, stdout=subprocess.PIPE)
            subprocess.run(["cpio", "--null", "--create", "--format=newc", "--quiet"], cwd=folder, stdin=find.stdout,
                           stdout=file, check=True)
    command = ["qemu-system-x86_64", "-m", "3072", "-smp", "2", "-nographic", "-no-reboot", "-net", "none",
               "-kernel", kernel, "-initrd", initrd, "-append",
               "console=ttyS0 rdinit=/lib/systemd/systemd edd=off quiet systemd.show_status=false panic=-1",
               "-cpu", "max"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=1200)
    text = done.stdout.decode(errors="replace").replace("\r\n", "\n")
    print(text)
    sys.exit(0 if "\nthe page is done\n" in text else 1)
