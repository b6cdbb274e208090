"""A Debian machine of its own, for a package: machine.py LOWER PACKAGE PAGE [LOG]

Runs the commands of a page, its ```sh blocks, one after the other, as root of a machine that is thrown away: a layer
over the folder LOWER (/ for this machine), without a network, with the package in its working folder. `systemctl`
and `journalctl` there ask this process, which does what units say: it passes sockets, makes folders, changes users,
hides networks and mounts, waits for READY=1. Needs root and namespaces of its own:

    unshare --mount --net --pid --fork --propagation private python3 machine.py / stardust.deb Operating.md
"""
import ctypes
import fnmatch
import glob
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000


def mount(source, target, kind, flags=0, data=""):
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


class Unit:
    """What a unit's files say; %i is the instance."""

    def __init__(self, root, name):
        self.name = name
        base, dot, kind = name.rpartition(".")
        template, at, self.instance = base.partition("@")
        file = f"{template}@.{kind}" if at else name
        paths = [root + p + file for p in ("/etc/systemd/system/", "/lib/systemd/system/")]
        path = next((p for p in paths if os.path.exists(p)), None)
        if path is None:
            raise KeyError(f"Unit {name} not found.")
        self.settings = {}
        for part in [path] + sorted(glob.glob(f"{root}/etc/systemd/system/{file}.d/*.conf")):
            self.read(part)

    def read(self, path):
        for line in open(path):
            line = line.strip()
            if line and line[0] not in "#[":
                key, _, value = line.partition("=")
                value = value.replace("%i", self.instance)
                if value:
                    self.settings.setdefault(key, []).append(value)
                else:
                    self.settings[key] = []

    def all(self, key):
        return self.settings.get(key, [])

    def last(self, key, otherwise=""):
        return (self.all(key) or [otherwise])[-1]

    def words(self, key):
        return " ".join(self.all(key)).split()

    def isOn(self, key):
        return self.last(key) in ("yes", "true", "strict", "pid")


class Machine:
    def __init__(self, root):
        self.root = root
        self.sockets = {}  # unit: socket
        self.children = {}  # unit: pid
        self.notified = {}  # unit: set of messages
        self.ended = {}  # pid: status
        self.lock = threading.Condition()
        threading.Thread(target=self.reap, daemon=True).start()

    def reap(self):
        """This process is the first of its namespace: children of children end here."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                time.sleep(0.01)
                continue
            with self.lock:
                self.ended[pid] = os.waitstatus_to_exitcode(status)
                self.lock.notify_all()

    def wait(self, pid, seconds=60):
        with self.lock:
            if not self.lock.wait_for(lambda: pid in self.ended, seconds):
                raise TimeoutError(f"process {pid} does not end")
            return self.ended.pop(pid)

    def run(self, script, shell=("bash", "-e", "-c")):
        """A command in the machine; its status and everything it said."""
        output = tempfile.TemporaryFile("w+")
        pid = os.fork()
        if pid == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.chroot(self.root)
            os.chdir("/root")
            os.environ.update(HOME="/root", PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C.UTF-8")
            os.execvp(shell[0], [*shell, script])
        status = self.wait(pid, 300)
        output.seek(0)
        return status, output.read()

    # What systemctl does.

    def start(self, name):
        if name in self.children or name in self.sockets:
            return
        unit = Unit(self.root, name)
        for path in unit.all("ConditionPathExists"):
            if not os.path.exists(self.root + path):
                return
        if name.endswith(".socket"):
            return self.listen(unit)
        if name.endswith(".timer"):
            return
        for other in unit.words("Requires"):
            self.start(other)
        self.launch(unit)

    def listen(self, unit):
        service = unit.last("Service") or unit.name.replace(".socket", ".service")
        if service in self.children:
            raise RuntimeError(f"{unit.name}: Socket service {service} already active, refusing.")
        address = unit.last("ListenStream")
        if address.startswith("/"):
            path = self.root + address
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.exists(path):
                os.unlink(path)
            server = socket.socket(socket.AF_UNIX)
            server.bind(path)
            os.chown(path, 0, self.group(unit.last("SocketGroup", "root")))
            os.chmod(path, int(unit.last("SocketMode", "0666"), 8))
        else:
            host, port = address.rsplit(":", 1)
            server = socket.create_server((host, int(port)))
        server.listen(4096)
        self.sockets[unit.name] = (service, unit.last("FileDescriptorName"), server, address)

    def group(self, name):
        for line in open(self.root + "/etc/group"):
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2])
        raise KeyError(name)

    def user(self, name):
        for line in open(self.root + "/etc/passwd"):
            fields = line.split(":")
            if fields[0] == name:
                return int(fields[2]), int(fields[3])
        raise KeyError(name)

    def groups(self, user):
        return [int(f[2]) for f in (line.strip().split(":") for line in open(self.root + "/etc/group")) if user in f[3].split(",")]

    def launch(self, unit):
        listeners = [s for s in self.sockets.values() if s[0] == unit.name]
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        inner = f"/run/notify.{unit.name}"
        if os.path.exists(self.root + inner):
            os.unlink(self.root + inner)
        notify.bind(self.root + inner)
        os.chmod(self.root + inner, 0o777)
        self.notified[unit.name] = set()
        threading.Thread(target=self.hear, args=(notify, unit.name), daemon=True).start()
        pid = os.fork()
        if pid == 0:
            try:
                self.become(unit, listeners, inner)
            except BaseException as error:
                os.write(2, f"{unit.name}: {error}\n".encode())
            os._exit(203)
        if unit.last("Type") == "oneshot":
            status = self.wait(pid, 120)
            if status != 0:
                raise RuntimeError(f"{unit.name} failed with status {status}\n{self.journal(unit.name)}")
            return
        self.children[unit.name] = pid
        if unit.last("Type") == "notify":
            self.awaitNotice(unit.name, "READY=1", pid)

    def hear(self, notify, name):
        while True:
            for line in notify.recv(65536).decode().split("\n"):
                with self.lock:
                    self.notified[name].add(line)
                    self.lock.notify_all()

    def awaitNotice(self, name, line, pid):
        with self.lock:
            self.lock.wait_for(lambda: line in self.notified[name] or pid in self.ended, 60)
            if line not in self.notified[name]:
                self.children.pop(name, None)
                raise RuntimeError(f"{name} is not ready\n{self.journal(name)}")

    def become(self, unit, listeners, notify):
        os.setsid()
        log = os.open(f"{self.root}/var/log/journal.{unit.name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        status = os.fstat(log)
        user = unit.last("User", "root")
        uid, gid = (61184, 61184) if unit.isOn("DynamicUser") else self.user(user)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": notify,
                       "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        writable = []
        for key, parent in (("StateDirectory", "/var/lib/"), ("RuntimeDirectory", "/run/"),
                            ("LogsDirectory", "/var/log/"), ("CacheDirectory", "/var/cache/")):
            for name in unit.words(key):
                path = self.root + parent + name
                os.makedirs(path, exist_ok=True)
                os.chmod(path, int(unit.last(key + "Mode", "0755"), 8))
                os.chown(path, uid, gid)
                writable.append(path)
            if unit.words(key):
                environment[re.sub("Directory", "_DIRECTORY", key).upper()] = parent + unit.words(key)[0]
        for assignment in unit.all("Environment"):
            key, _, value = assignment.partition("=")
            environment[key] = value
        libc.unshare(CLONE_NEWNS | (CLONE_NEWNET if unit.isOn("PrivateNetwork") else 0))
        mount("", "/", "", MS_REC | MS_PRIVATE)
        if unit.isOn("PrivateTmp"):
            for path in ("/tmp", "/var/tmp"):
                mount("tmpfs", self.root + path, "tmpfs")
        if unit.isOn("ProcSubset"):
            mount("proc", self.root + "/proc", "proc", 0, "subset=pid")
        if unit.isOn("ProtectSystem"):
            for path in writable:
                mount(path, path, "", MS_BIND)
            mount(self.root, self.root, "", MS_BIND | MS_REMOUNT | MS_RDONLY)
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        os.chroot(self.root)
        os.chdir("/")
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for number, listener in enumerate(listeners):
            os.dup2(listener[2].fileno(), 200 + number)
        for number in range(len(listeners)):
            os.dup2(200 + number, 3 + number)
        os.closerange(3 + len(listeners), 256)
        if listeners:
            environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(listeners)),
                               LISTEN_FDNAMES=":".join(s[1] for s in listeners))
        groups = [] if unit.isOn("DynamicUser") else self.groupsOf(unit, user)
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        os.umask(int(unit.last("UMask", "0022"), 8))
        words = shlex.split(unit.last("ExecStart"))
        os.execve(words[0], words, environment)

    def groupsOf(self, unit, user):
        # Read before the change of root: the names are the machine's.
        lines = [line.strip().split(":") for line in open("/etc/group")]
        own = [int(f[2]) for f in lines if user in f[3].split(",")]
        return own + [int(f[2]) for f in lines if f[0] in unit.words("SupplementaryGroups")]

    def stop(self, name):
        if name in self.sockets:
            _, _, server, address = self.sockets.pop(name)
            server.close()
            if address.startswith("/"):
                os.unlink(self.root + address)
            return
        pid = self.children.pop(name, None)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            status = self.wait(pid, 20)
            if status != 0:
                raise RuntimeError(f"{name} ended with status {status}\n{self.journal(name)}")

    def reload(self, name):
        if name not in self.children:
            raise RuntimeError(f"{name} is not active.")
        unit = Unit(self.root, name)
        uid, gid = self.user(unit.last("User", "root"))
        self.notified[name].discard("READY=1")
        for command in unit.all("ExecReload"):
            words = [w.replace("$MAINPID", str(self.children[name])) for w in shlex.split(command)]
            status, text = self.run(shlex.join(words), ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "sh", "-c"))
            if status != 0:
                raise RuntimeError(f"{name} was not reloaded: {text}")
        self.awaitNotice(name, "READY=1", self.children[name])

    def journal(self, name):
        try:
            return open(f"{self.root}/var/log/journal.{name}").read()
        except FileNotFoundError:
            return ""

    def control(self, words):
        """One call of systemctl."""
        flags = {w for w in words if w.startswith("-")}
        names = [w for w in words if not w.startswith("-")]
        verb, names = names[0], [n if "." in n else n + ".service" for n in names[1:]]
        running = list(self.children) + list(self.sockets)
        names = [n for name in names for n in (fnmatch.filter(running, name) if "*" in name else [name])]
        if verb in ("start", "restart", "enable", "reload", "is-enabled", "preset"):
            for name in names:
                Unit(self.root, name)
        if verb in ("enable", "disable", "is-enabled", "preset"):
            return self.enable(verb, names, "--now" in flags)
        sockets = [n for n in names if n.endswith(".socket")]
        services = [n for n in names if not n.endswith(".socket")]
        if verb == "start":
            for name in sockets + services:
                self.start(name)
        elif verb == "stop":
            for name in services + sockets:
                self.stop(name)
        elif verb in ("restart", "try-restart"):
            chosen = [n for n in names if verb == "restart" or n in self.children or n in self.sockets]
            for name in sorted(chosen, key=lambda n: n.endswith(".socket")):
                self.stop(name)
            for name in sorted(chosen, key=lambda n: not n.endswith(".socket")):
                self.start(name)
        elif verb == "reload":
            for name in names:
                self.reload(name)
        elif verb == "is-active":
            active = all(n in running for n in names)
            return 0 if active else 3, "" if "--quiet" in flags else "active" if active else "inactive"
        elif verb != "daemon-reload":
            return 1, f"this systemctl does not know {verb}"
        return 0, ""

    def enable(self, verb, names, now):
        wants = self.root + "/etc/systemd/system/{}.wants/{}"
        for name in names:
            target = Unit(self.root, name).last("WantedBy")
            link = wants.format(target, name)
            if verb == "is-enabled":
                return (0, "enabled") if os.path.lexists(link) else (1, "disabled")
            if not target:
                raise RuntimeError(f"{name} has no [Install] section.")
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if os.path.lexists(link):
                os.unlink(link)
            if verb != "disable":
                os.symlink(f"/lib/systemd/system/{name}", link)
        return self.control([{"enable": "start", "disable": "stop"}[verb], *names]) if now else (0, "")

    def serve(self):
        """Answers calls: a line with arguments, then a line with the status, and text."""
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.root + "/run/systemctl")
        server.listen(8)
        while True:
            client, _ = server.accept()
            try:
                words = client.makefile().readline().rstrip("\n").split("\x1f")
                if words[0] == "journalctl":
                    status, text = 0, self.journal(words[words.index("-u") + 1] + ".service")
                else:
                    status, text = self.control(words[1:])
            except Exception as error:  # Whatever it is, the caller is told.
                status, text = 1, str(error)
            client.sendall(f"{status}\n{text}{chr(10) if text else str()}".encode())
            client.close()


CLIENT = """#!/usr/bin/perl
use strict; use Socket; use IO::Socket::UNIX;
my ($name) = $0 =~ m{([^/]+)$};
my $server = IO::Socket::UNIX->new(Peer => '/run/systemctl') or die "no machine: $!";
print $server join("\\x1f", $name, @ARGV), "\\n";
my $status = <$server>; print while <$server>; exit $status;
"""


def blocks(page):
    """The commands of a page, with the line each block begins at."""
    found, current = [], None
    for number, line in enumerate(open(page), 1):
        text = line.strip()
        if current is None and text == "```sh":
            current, indent, first = [], len(line) - len(line.lstrip()), number
        elif current is not None and text == "```":
            found.append((first, "".join(current)))
            current = None
        elif current is not None:
            current.append(line[indent:] if line.strip() else line)
    return found


def main():
    lower, package, page = sys.argv[1:4]
    layer = tempfile.mkdtemp(prefix="stardust-machine-")
    try:
        return work(layer, lower, package, page)
    finally:
        os.chdir("/")
        libc.umount2(layer.encode(), 2)  # MNT_DETACH
        os.rmdir(layer)


def work(layer, lower, package, page):
    mount("tmpfs", layer, "tmpfs", 0, "size=2g")
    root = layer + "/root"
    for name in ("upper", "work", "root"):
        os.mkdir(f"{layer}/{name}")
    mount("overlay", root, "overlay", 0, f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work")
    mount("proc", root + "/proc", "proc")
    mount("/dev", root + "/dev", "", MS_BIND | MS_REC)
    for path in ("/tmp", "/run"):
        mount("tmpfs", root + path, "tmpfs", 0, "mode=1777" if path == "/tmp" else "mode=755")
    os.makedirs(root + "/run/systemd/system")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    shutil.copy(package, root + "/root/")
    with open(root + "/etc/apt/apt.conf.d/99small", "w") as file:
        file.write('APT::Install-Recommends "false";\n')
    for name in ("systemctl", "journalctl"):
        path = f"{root}/usr/bin/{name}"
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "w") as file:
            file.write(CLIENT)
        os.chmod(path, 0o755)
    machine = Machine(root)
    threading.Thread(target=machine.serve, daemon=True).start()
    for number, script in blocks(page):
        status, output = machine.run(script)
        print(f"--- line {number}\n{script}{output}", flush=True)
        if status != 0:
            print(f"line {number} of {page} ended with status {status}", file=sys.stderr)
            for name in list(machine.children):
                print(f"{name}: {machine.journal(name)}", file=sys.stderr)
            return 1
    return 0


status = main()
sys.stdout.flush()
os._exit(status)
