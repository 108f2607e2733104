"""Programs that read, list, create and change files that are none of theirs."""

from __future__ import annotations

from .attack import ABSENT, ROOT_ONLY, Attack

READING = (
    Attack("read a file of the user", "files", "print(open(at.home + '/notes.txt').read())"),
    Attack("read a file in HOME", "files", "print(open(at.own).read())"),
    Attack("read the run store", "files", "print(open(at.home + '/.sage-spo/store.sqlite', 'rb').read())"),
    Attack("read an ssh key", "files", "print(open(at.home + '/.ssh/id_ed25519').read())"),
    Attack("read the .env of the project", "files", "print(open(at.home + '/.env').read())"),
    Attack("read the project", "files", "print(open(at.project + '/pyproject.toml').read())"),
    Attack("read /etc/passwd", "files", "print(open('/etc/passwd').read())"),
    Attack(
        "read /etc/shadow as root",
        "files",
        "import hashlib\nprint(hashlib.sha256(open('/etc/shadow', 'rb').read()).hexdigest())",
        barred=ROOT_ONLY,
    ),
    Attack(
        "read by a relative way out of the library",
        "files",
        "print(open(os.path.dirname(os.__file__) + '/..' * 12 + at.home + '/notes.txt').read())",
    ),
    Attack("read after changing folder", "files", "os.chdir(at.home)\nprint(open('notes.txt').read())"),
    Attack(
        "read relative to a folder opened for its path only",
        "files",
        "folder = os.open(at.home, os.O_PATH)\nprint(os.read(os.open('notes.txt', os.O_RDONLY, dir_fd=folder), 4096))",
    ),
    Attack(
        "read through a symbolic link",
        "files",
        "os.symlink(at.home + '/notes.txt', at.home + '/link')\nprint(open(at.home + '/link').read())",
    ),
    Attack(
        "read through a symbolic link in a shared folder",
        "files",
        """
def through(folder):
    link = f"{folder}/{at.mark}-link"
    os.symlink(at.home + "/notes.txt", link)
    print(open(link).read())
every(["/dev/shm", "/tmp", "/var/tmp", "."], through)
""",
    ),
    Attack(
        "read through a hard link",
        "files",
        "os.link(at.home + '/notes.txt', f'/tmp/{at.mark}-hard')\nprint(open(f'/tmp/{at.mark}-hard').read())",
    ),
    Attack("read through /proc/self/root", "files", "print(open('/proc/self/root' + at.home + '/notes.txt').read())"),
    Attack(
        "read through the root of another process",
        "files",
        """
every([*at.reading, "thread-self"], lambda pid: print(open(f"/proc/{pid}/root{at.home}/notes.txt").read()))
""",
    ),
    Attack(
        "read through the folder of another process",
        "files",
        "every(at.reading, lambda pid: print(open(f'/proc/{pid}/cwd/notes.txt').read()))",
    ),
    Attack(
        "read through the descriptors of another process",
        "files",
        """
import stat
def descriptors(pid):
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        if stat.S_ISREG(os.stat(path).st_mode):
            print(open(path, "rb").read(2000))
every(at.reading, descriptors)
""",
    ),
    Attack(
        "read by file handle as root",
        "files",
        """
kind, raw = at.handle
handle = ctypes.create_string_buffer(len(raw).to_bytes(4, "little") + kind.to_bytes(4, "little") + raw)
mount = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
print(os.read(call("open_by_handle_at", mount, handle, os.O_RDONLY), 4096))
""",
        barred=(*ROOT_ONLY, *ABSENT, "ESTALE", "EXDEV"),
    ),
    Attack("read the disk itself", "files", "print(len(os.read(os.open(at.disk, os.O_RDONLY), 512)))\nescaped(at.disk)",
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack(
        "read the disk by a device node of its own",
        "files",
        """
import stat
path = at.home + "/disk"
os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(*at.device))
os.read(os.open(path, os.O_RDONLY), 512)
escaped(path)
""",
        barred=(*ROOT_ONLY, *ABSENT),
    ),
    Attack("open the memory of the machine", "files", "os.open('/dev/mem', os.O_RDONLY)\nescaped('/dev/mem')",
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack(
        "make a node of the memory of the machine",
        "files",
        """
import stat
os.mknod(at.home + "/mem", stat.S_IFCHR | 0o600, os.makedev(1, 1))
os.open(at.home + "/mem", os.O_RDONLY)
escaped("mem")
""",
        barred=(*ROOT_ONLY, *ABSENT),
    ),
    Attack("list a folder of the user", "files", "print(os.listdir(at.home))"),
    Attack("walk a folder of the user", "files", "print(*os.walk(at.home))"),
    Attack("list by chdir and glob", "files", "import glob\nos.chdir(at.home)\nprint(glob.glob('*'))"),
    # Landlock does not govern what stat and readlink say: only what cannot be named is safe from them.
    Attack("learn when a file was changed", "files", "print(os.stat(at.home + '/notes.txt').st_mtime_ns)",
           hidden=True),
    Attack("learn where a link leads", "files", "print(os.readlink(at.home + '/current'))", hidden=True),
    Attack("read a file name by extended attribute", "files",
           "os.setxattr(at.home + '/notes.txt', 'user.x', b'y')\nescaped(os.listxattr(at.home + '/notes.txt'))",
           barred=ABSENT),
)  # fmt: skip

NOTES = "at.home + '/notes.txt'"
CHANGING = (
    Attack("write a new file", "files", "open(at.home + '/new', 'w').write('x')"),
    Attack("append to a file", "files", f"open({NOTES}, 'a').write('x')"),
    Attack("empty a file", "files", f"os.truncate({NOTES}, 0)"),
    Attack("overwrite a file in place", "files", f"os.pwrite(os.open({NOTES}, os.O_WRONLY), b'x', 0)"),
    Attack("change the rights of a file", "files", f"os.chmod({NOTES}, 0o777)"),
    Attack("remove a file", "files", f"os.unlink({NOTES})"),
    Attack("rename a file", "files", f"os.rename({NOTES}, at.home + '/other')"),
    Attack("change the times of a file", "files", f"os.utime({NOTES}, (1, 1))"),
    Attack("make a folder", "files", "os.mkdir(at.home + '/folder')"),
    Attack("remove a tree", "files", "import shutil\nshutil.rmtree(at.home)"),
    Attack("make a named pipe", "files", "os.mkfifo(at.home + '/pipe')"),
    Attack("bind a socket to a file", "files",
           "import socket\nsocket.socket(socket.AF_UNIX).bind(at.home + '/socket')"),
    Attack(
        "create in the shared folders",
        "files",
        "every(['/dev/shm', '/tmp', '/var/tmp', '.'], lambda f: open(f'{f}/{at.mark}-new', 'w').write('x'))",
    ),
    Attack(
        "create a temporary file without a name",
        "files",
        "file = os.open('/tmp', os.O_TMPFILE | os.O_RDWR)\nos.write(file, b'x')\nescaped('/tmp')",
        barred=ABSENT,
    ),
    Attack("create a file in memory", "files", "os.write(os.memfd_create('x'), b'x' * 4096)\nescaped('memfd')"),
    Attack("open the library for writing", "files", "open(os.__file__, 'r+b').close()\nescaped(os.__file__)",
           barred=ROOT_ONLY),
    Attack(
        "write the core pattern back",
        "files",
        """
path = "/proc/sys/kernel/core_pattern"
file = open(path, "r+")
value = file.read()
file.seek(0)
file.write(value)
file.close()
escaped(value)
""",
        barred=(*ROOT_ONLY, "EROFS"),
    ),
    Attack(
        "make a control group",
        "files",
        """
def group(folder):
    path = f"{folder}/{at.mark}"
    os.mkdir(path)
    escaped(path)
    os.rmdir(path)
every(["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"], group)
""",
        barred=(*ROOT_ONLY, *ABSENT, "EROFS"),
    ),
    Attack(
        "change what the kernel would kill first",
        "files",
        """
def same(pid):
    value = open(f"/proc/{pid}/oom_score_adj").read()
    open(f"/proc/{pid}/oom_score_adj", "w").write(value)
    escaped(pid)
every(at.targets, same)
""",
    ),
)  # fmt: skip

ATTACKS = READING + CHANGING
