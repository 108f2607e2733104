"""What there is to attack: files with secrets, keys, listeners, a process of the same user, this process itself."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..processes import descendants
from .victim import SIZE

_FOLDER = Path(__file__).parent
PROJECT = _FOLDER.parent.parent
SHARED = ("/tmp", "/dev/shm", "/var/tmp")
KEYS = ("OPENAI_API_KEY", "E2B_API_KEY")
_NODE, _HANDLE_SIZE = 8, 128


class Scene:
    """Everything is the scene's own and is gone when it closes. To be made in the main thread."""

    def __init__(self) -> None:
        self.mark = f"attacked-{secrets.token_hex(6)}"
        self.secret = f"canary-{secrets.token_hex(16)}"
        self.time = 1_000_000_000_000_000_000 + secrets.randbelow(10**17)
        self.base = Path(tempfile.mkdtemp(prefix=f"{self.mark}-"))
        self.home = self.base / "home"
        self.temporary = self.base / "temporary"
        self.temporary.mkdir()
        self._kept = contextlib.ExitStack()
        self._kept.callback(shutil.rmtree, self.base, ignore_errors=True)
        number, self.own = tempfile.mkstemp(dir=Path.home(), prefix=self.mark)
        os.write(number, self.secret.encode())
        os.close(number)
        self._kept.callback(os.unlink, self.own)
        self.signals = 0
        if threading.current_thread() is threading.main_thread():
            before = signal.signal(signal.SIGUSR2, self._signalled)
            self._kept.callback(signal.signal, signal.SIGUSR2, before)
        self.library = self.base / "library.so"
        spec = importlib.util.find_spec("_ctypes")
        assert spec is not None
        assert spec.origin is not None
        shutil.copy(spec.origin, self.library)
        self.populate()
        self._listen()
        self._inherit()
        with self.keys():
            self.victim = self._start_victim()
        self._kept.callback(self._end_victim)

    def close(self) -> None:
        self._kept.close()

    @contextlib.contextmanager
    def keys(self) -> Iterator[None]:
        """This process has keys in its environment meanwhile."""
        before = {name: os.environ.get(name) for name in KEYS}
        os.environ.update(dict.fromkeys(KEYS, self.secret))
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def _signalled(self, *_: object) -> None:
        self.signals += 1

    def populate(self) -> None:
        """The files as they are before an attack."""
        shutil.rmtree(self.home, ignore_errors=True)
        for name in ("notes.txt", ".env", ".ssh/id_ed25519", ".sage-spo/store.sqlite", self.secret):
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"KEY={self.secret}\n")
        (self.home / "current").symlink_to(f"/nowhere/{self.secret}")
        os.utime(self.home / "notes.txt", ns=(self.time, self.time))
        self._files = self._snapshot()

    def _snapshot(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for path in (self.home, *sorted(self.home.rglob("*"))):
            with contextlib.suppress(FileNotFoundError):
                state = path.lstat()
                content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                about = (state.st_mode, state.st_nlink, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                found[str(path.relative_to(self.base))] = (*about, hashlib.sha256(content).hexdigest())
        return found

    def _listen(self) -> None:
        self._listeners: list[socket.socket] = []

        def listen(family: int, kind: int, address: Any) -> Any:
            try:
                made = self._kept.enter_context(socket.socket(family, kind))
                made.bind(address)
            except OSError:
                return None  # no IPv6 here
            if kind == socket.SOCK_STREAM:
                made.listen()
            made.setblocking(False)
            self._listeners.append(made)
            return made.getsockname()

        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self.port = listen(socket.AF_INET, stream, ("127.0.0.1", 0))[1]
        self.port6 = (listen(socket.AF_INET6, stream, ("::1", 0)) or (0, 1))[1]
        self.udp = listen(socket.AF_INET, datagram, ("127.0.0.1", 0))[1]
        self.unix = listen(socket.AF_UNIX, stream, str(self.base / "stream"))
        self.datagrams = listen(socket.AF_UNIX, datagram, str(self.base / "datagrams"))
        self.abstract = f"\0{self.mark}"
        listen(socket.AF_UNIX, stream, self.abstract)

    def _inherit(self) -> None:
        """A file with a secret and a socket that every child would inherit if it were let."""
        file = os.open(self.home / "notes.txt", os.O_RDONLY)
        ours, theirs = socket.socketpair()
        self.inherited = tuple(fcntl.fcntl(each, fcntl.F_DUPFD, 60) for each in (file, theirs.fileno()))
        for number in self.inherited:
            os.set_inheritable(number, True)
            self._kept.callback(os.close, number)
        os.close(file)
        theirs.close()
        ours.setblocking(False)
        self._listeners.append(self._kept.enter_context(ours))

    def _start_victim(self) -> subprocess.Popen[bytes]:
        popen = subprocess.Popen(
            [sys.executable, "-P", "-S", "-B", str(_FOLDER / "victim.py"), self.secret, str(self.base / "held")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=self._held(), start_new_session=True,
        )  # fmt: skip
        assert popen.stdout is not None
        said = json.loads(popen.stdout.readline())
        os.set_blocking(popen.stdout.fileno(), False)
        self.address, self.descriptor = said["address"], said["descriptor"]
        self._state = _state(popen.pid)
        return popen

    def _held(self) -> Path:
        """The victim's folder and file, apart from those that attacks may remove."""
        (self.base / "held").write_text(self.secret)
        (self.base / "notes.txt").write_text(self.secret)
        return self.base

    def _end_victim(self) -> None:
        self.victim.kill()
        self.victim.wait()
        assert self.victim.stdout is not None
        self.victim.stdout.close()

    def known(self, *, inside: bool, memory: int, flood: int) -> dict[str, object]:
        """What an attacker may know; names, numbers and addresses, no secret."""
        victim, parent = self.victim.pid, os.getpid()
        near = sorted(descendants(parent)) if inside else []
        few = list(range(1, 40)) if inside else []
        return {
            "mark": self.mark, "home": str(self.home), "own": self.own, "project": str(PROJECT),
            "library": str(self.library), "disk": _disk()[0], "device": _disk()[1],
            "handle": _handle(self.home / "notes.txt"), "port": self.port, "port6": self.port6, "udp": self.udp,
            "unix": self.unix, "datagrams": self.datagrams, "abstract": self.abstract, "parent": parent,
            "victim": victim, "address": self.address, "descriptor": self.descriptor, "memory": memory, "flood": flood,
            # The control harms nobody but the victim; inside, everybody is tried.
            "targets": [victim, parent, *near] if inside else [victim],
            "reading": [victim, parent, *near, *few] if inside else [victim],
            "writing": [each for each in near if each != victim] + few[1:12] if inside else [victim],
        }  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """Texts that show, wherever they come out, that something was read."""
        found = {"the canary": self.secret, "a file's time": str(self.time)}
        with contextlib.suppress(OSError):
            found["/etc/passwd"] = Path("/etc/passwd").read_text().splitlines()[0]
        found["the project"] = (PROJECT / "pyproject.toml").read_text()[:40]
        with contextlib.suppress(OSError):
            found["/etc/shadow"] = hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest()
        return found

    def evidence(self) -> list[str]:
        """What has been harmed since it was last asked; mends it."""
        found = []
        files = self._snapshot()
        if files != self._files:
            changed = sorted(k for k in files.keys() | self._files.keys() if files.get(k) != self._files.get(k))
            found.append(f"files changed: {', '.join(changed[:3])}")
        if files != self._files:
            self.populate()
        for folder in (*SHARED, "."):
            for path in Path(folder).glob(f"{self.mark}*"):
                if path != self.base:
                    found.append(f"created {path}")
                    path.unlink()
        found += [f"heard on {name}" for name in self._heard()]
        if self.signals:
            found.append("the parent was signalled")
            self.signals = 0
        return found + self._victim_evidence()

    def _heard(self) -> list[str]:
        found = []
        for each in self._listeners:
            while True:
                try:
                    if each.type == socket.SOCK_STREAM and each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        each.accept()[0].close()
                    elif not each.recv(65536):
                        break
                except OSError:
                    break
                found.append(str(each.getsockname() or "an inherited socket"))
        return found

    def _victim_evidence(self) -> list[str]:
        found = []
        if self.victim.poll() is not None:
            found.append("another process was killed")
        else:
            state = _state(self.victim.pid)
            found += [f"another process's {name} changed" for name in state if state[name] != self._state[name]]
            held = _memory(self.victim.pid, self.address)
            if held is not None and held.rstrip(b"\0") != self.secret.encode():
                found.append("another process's memory changed")
            assert self.victim.stdout is not None
            if self.victim.stdout.read():
                found.append("another process's output was written to")
        if found:
            self._end_victim()
            self.victim = self._start_victim()
        return found


def _state(pid: int) -> dict[str, object]:
    """What others can do to a process without killing it."""
    state = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in state.splitlines() if ":\t" in line)
    return {
        "state": fields["State"][0] in "TtXZ",
        "tracer": fields["TracerPid"],
        "priority": os.getpriority(os.PRIO_PROCESS, pid),
        "processors": os.sched_getaffinity(pid),
        "scheduling": os.sched_getscheduler(pid),
        "limits": resource.prlimit(pid, resource.RLIMIT_NOFILE),
    }


def _memory(pid: int, address: int) -> bytes | None:
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            return os.pread(file.fileno(), SIZE, address)
    except OSError:
        return None


def _disk() -> tuple[str, tuple[int, int]]:
    """The device that holds the root folder."""
    number = os.stat("/").st_dev
    major, minor = os.major(number), os.minor(number)
    with contextlib.suppress(OSError):
        return f"/dev/{Path(f'/sys/dev/block/{major}:{minor}').resolve(strict=True).name}", (major, minor)
    return "/dev/sda", (major, minor)


def _handle(path: Path) -> tuple[int, bytes]:
    """Type and bytes of the kernel's handle of a file, which are guessed as easily as its number."""
    raw = ctypes.create_string_buffer(_HANDLE_SIZE.to_bytes(4, "little"), _NODE + _HANDLE_SIZE)
    mount = ctypes.c_int()
    if ctypes.CDLL(None).name_to_handle_at(-100, str(path).encode(), raw, ctypes.byref(mount), 0) != 0:
        return 0, b""
    size = int.from_bytes(raw.raw[:4], "little")
    return int.from_bytes(raw.raw[4:8], "little"), raw.raw[_NODE : _NODE + size]
