"""Programs that ask the kernel for facilities that analysis never needs: mounts, namespaces, keyrings, tracing, IPC."""

from __future__ import annotations

from .attack import ABSENT, ROOT_ONLY, Attack

_SPACES = """
def mount(source, target, kind, flags):
    return call("mount", source, target.encode() if target else None, kind, flags, None)
def become_root():
    user, group = os.getuid(), os.getgid()
    call("unshare", NEWUSER | NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file: file.write(text)
    mount(b"none", "/", None, PRIVATE)
NEWNS, NEWUSER, NEWNET, PRIVATE, BIND = 0x20000, 0x10000000, 0x40000000, 0x44000, 0x1000
"""
REFUSED = (*ROOT_ONLY, *ABSENT)

SPACES = (
    Attack("mount a file system", "kernel", f"""{_SPACES}
os.mkdir(at.home + "/mount")
mount(b"none", at.home + "/mount", b"tmpfs", 0)
escaped("mounted")
call("umount2", (at.home + "/mount").encode(), 2)
""", barred=REFUSED),
    Attack("mount in name spaces of its own", "kernel", f"""{_SPACES}
become_root()
mount(at.home.encode(), "/mnt", None, BIND)
print(open("/mnt/notes.txt").read())
""", barred=(*REFUSED, "EINVAL", "ENOSPC")),
    Attack("change the root by pivot_root", "kernel", f"""{_SPACES}
become_root()
mount(b"none", "/mnt", b"tmpfs", 0)
os.mkdir("/mnt/old")
call("pivot_root", b"/mnt", b"/mnt/old")
escaped(os.listdir("/"))
""", barred=(*REFUSED, "EINVAL", "ENOSPC")),
    Attack("become root of a user name space", "kernel", f"""{_SPACES}
call("unshare", NEWUSER)
escaped(open("/proc/self/uid_map").read() or "no map yet")
""", barred=(*REFUSED, "EINVAL", "ENOSPC")),
    Attack("clone into new name spaces", "kernel",
           "pid = call('clone', 0x7e020000 | 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nescaped(os.waitpid(pid, 0))",
           barred=(*REFUSED, "EINVAL", "ENOSPC")),
    Attack("make a network name space", "kernel",
           f"{_SPACES}\ncall('unshare', NEWNET)\nescaped('net')", barred=REFUSED),
    Attack("enter the name spaces of another process", "kernel", """
def enter(pid):
    for name in ("net", "ipc", "uts"):
        call("setns", os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), 0)
        escaped(name)
every(at.reading, enter)
""", barred=REFUSED),
    Attack("change the root by chroot", "kernel", "os.chroot(at.home)\nescaped(os.listdir('/'))", barred=REFUSED),
    Attack("open a file system by its own handle", "kernel", "escaped(call('fsopen', b'tmpfs', 1))", barred=REFUSED),
    Attack("clone a tree of mounts", "kernel", "escaped(call('open_tree', -100, b'/', 1))", barred=REFUSED),
    Attack("set the name of the machine to what it is", "kernel",
           """
name = os.uname().nodename.encode()
if libc.sethostname(name, len(name)): raise OSError(ctypes.get_errno(), "")
escaped(name)
""", barred=REFUSED),
)  # fmt: skip

FACILITIES = (
    Attack("keep a key in a keyring", "kernel", """
key = call("add_key", b"user", at.mark.encode(), b"secret", 6, -2)
data = ctypes.create_string_buffer(10)
call("keyctl", 11, key, data, 10, 0)
escaped(data.value)
call("keyctl", 3, key, 0, 0, 0)
""", barred=(*REFUSED, "ENOKEY")),
    Attack("request a key", "kernel", """
try:
    call("request_key", b"user", at.mark.encode(), None, -3)
except OSError as error:
    if error.errno != errno.ENOKEY: raise
escaped("asked")
""", barred=REFUSED),
    Attack("join another keyring", "kernel", "escaped(call('keyctl', 1, None, 0, 0, 0))", barred=REFUSED),
    Attack("set up io_uring", "kernel", "escaped(call('io_uring_setup', 1, ctypes.create_string_buffer(120)))",
           barred=REFUSED),
    Attack("handle its own page faults", "kernel", "escaped(call('userfaultfd', 1))", barred=REFUSED),
    Attack("handle page faults of the kernel", "kernel", "escaped(call('userfaultfd', 0))", barred=REFUSED),
    Attack("count events of the processor", "kernel", """
import struct
attributes = struct.pack("IIQQQQQ", 1, 112, 1, 0, 0, 0, 0x60) + bytes(64)
escaped(call("perf_event_open", attributes, 0, -1, -1, 0))
""", barred=REFUSED),
    Attack("load a map of BPF", "kernel", """
import struct
escaped(call("bpf", 0, struct.pack("IIII", 2, 4, 8, 1) + bytes(112), 128))
""", barred=REFUSED),
    Attack("hide memory from the kernel", "kernel", "escaped(call('memfd_secret', 0))", barred=REFUSED),
    Attack("share memory by System V", "kernel", """
number = call("shmget", 0, 4096, 0o1600)
escaped(call("shmat", number, None, 0))
call("shmctl", number, 0, None)
""", barred=ABSENT),
    Attack("make semaphores by System V", "kernel",
           "number = call('semget', 0, 1, 0o1600)\nescaped(number)\ncall('semctl', number, 0, 0, 0)", barred=ABSENT),
    Attack("queue messages by System V", "kernel", """
number = call("msgget", 0, 0o1600)
call("msgsnd", number, ctypes.create_string_buffer(b"\\1" + bytes(7) + b"x" * 8), 8, 0)
escaped(number)
call("msgctl", number, 0, None)
""", barred=ABSENT),
    Attack("queue messages by POSIX", "kernel", """
name = at.mark.encode()
escaped(call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))
call("mq_unlink", name)
""", barred=ABSENT),
    Attack("share memory by POSIX", "kernel", """
from multiprocessing import shared_memory
memory = shared_memory.SharedMemory(name=at.mark, create=True, size=4096)
escaped(memory.name)
memory.close()
memory.unlink()
""", barred=ABSENT),
    Attack("watch a folder of the user", "kernel", """
watch = call("inotify_init1", 0)
escaped(call("inotify_add_watch", watch, at.home.encode(), 0xfff))
""", barred=ABSENT),
    Attack("watch a whole file system", "kernel", "escaped(call('fanotify_init', 0, 0))", barred=REFUSED),
    Attack("watch as an ordinary user", "kernel",
           "escaped(call('fanotify_init', 0x200, 0))", barred=(*REFUSED, "EINVAL")),
    Attack("switch off the randomness of addresses", "kernel",
           "call('personality', 0x40000)\nescaped(call('personality', 0xffffffff))", barred=ABSENT),
    Attack("read the log of the kernel", "kernel", """
data = ctypes.create_string_buffer(4096)
escaped(call("syslog", 3, data, 4096))
""", barred=REFUSED),
    Attack("open the log device of the kernel", "kernel", "escaped(os.open('/dev/kmsg', os.O_RDONLY))", barred=REFUSED),
    Attack("speak to a port of the machine", "kernel", "escaped(call('ioperm', 0x80, 1, 1))", barred=REFUSED),
    Attack("open a virtual machine", "kernel", "escaped(os.open('/dev/kvm', os.O_RDWR))", barred=REFUSED),
    Attack("push a character into a terminal", "kernel", """
import fcntl, pty, select, termios, tty
main, side = os.openpty()
tty.setraw(side)
fcntl.ioctl(side, termios.TIOCSCTTY, 0)
fcntl.ioctl(side, termios.TIOCSTI, b"x")
if select.select([side], [], [], 1)[0]: escaped(os.read(side, 1))
""", barred=(*REFUSED, "EIO")),
    Attack("make its own output signal by ioctl", "kernel", """
import fcntl, struct
fcntl.ioctl(1, 0x5421, struct.pack("i", 1))  # FIONBIO
escaped("not blocking")
"""),
    Attack("put a filter of its own in front", "kernel", """
import struct
code = struct.pack("=HBBI", 0x06, 0, 0, 0x7fff0000)
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))
libc.prctl(38, 1, 0, 0, 0)
call("seccomp", 1, 8, ctypes.byref(Program(1, code)))
escaped("listener")
""", barred=REFUSED),
    Attack("call by the numbers of x32", "kernel", "escaped(call(0x40000000 + 41, 2, 1, 0))", barred=REFUSED),
    Attack("call the 32-bit kernel by int 0x80", "kernel", """
import mmap
if platform.machine() != "x86_64": raise OSError(errno.ENOSYS, "another machine")
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# push rbx; mov eax, 359 (socket); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; pop rbx; ret
page.write(bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3"))
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
found = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
if found < 0: raise OSError(-found, os.strerror(-found))
escaped(found)
""", barred=("ENOSYS", "SIGSEGV")),
)  # fmt: skip

ATTACKS = SPACES + FACILITIES
