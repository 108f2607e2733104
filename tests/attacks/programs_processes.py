"""Programs that start processes and threads, or signal, trace, slow down and rewrite those of others."""

from __future__ import annotations

from .attack import ABSENT, ROOT_ONLY, Attack

_TOUCH = "at.home + '/touched'"

STARTING = (
    Attack("fork", "processes", "pid = os.fork()\nif pid == 0: os._exit(0)\nescaped(os.waitpid(pid, 0))"),
    Attack("fork by the pseudo terminal", "processes",
           "import pty\npid, _ = pty.fork()\nif pid == 0: os._exit(0)\nescaped(os.waitpid(pid, 0))", barred=ABSENT),
    Attack("clone by a raw system call", "processes",
           "pid = call('clone', 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nescaped(os.waitpid(pid, 0))"),
    Attack("clone3 by a raw system call", "processes", """
arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17)
pid = call("clone3", arguments, 64)
if pid == 0: os._exit(0)
escaped(os.waitpid(pid, 0))
""", barred=("ENOSYS",)),
    Attack("fork forty times at once", "processes", """
import time
children = []
for _ in range(40):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.2)
        os._exit(0)
    children.append(pid)
escaped(len(children))
for pid in children: os.waitpid(pid, 0)
"""),
    Attack("start a thread", "processes",
           "import threading\none = threading.Thread(target=escaped, args=(1,))\none.start()\none.join()"),
    Attack("start a hundred threads", "processes", """
import threading, time
threads = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(100)]
for each in threads: each.start()
for each in threads: each.join()
escaped(len(threads))
"""),
    Attack("become another program", "processes", f"os.execv('/bin/sh', ['sh', '-c', 'echo > ' + {_TOUCH}])"),
    Attack("become a fresh Python", "processes",
           f"os.execv(sys.executable or '/usr/bin/python3', ['python', '-SEc', 'open(%r, \"w\")' % ({_TOUCH})])"),
    Attack("become a program held by descriptor", "processes",
           f"os.execve(os.open('/bin/sh', os.O_RDONLY), ['sh', '-c', 'echo > ' + {_TOUCH}], {{}})"),
    Attack("run a program by subprocess", "processes", f"import subprocess\nsubprocess.run(['/bin/mkdir', {_TOUCH}])"),
    Attack("run a program by os.system", "processes", f"os.system('echo > ' + {_TOUCH})"),
    Attack("run a program by popen of the C library", "processes",
           f"libc.popen.restype = ctypes.c_void_p\nlibc.pclose(ctypes.c_void_p(libc.popen(('echo > ' + {_TOUCH})"
           ".encode(), b'r')))"),
    Attack("run a program by posix_spawn", "processes",
           f"os.waitpid(os.posix_spawn('/bin/mkdir', ['mkdir', {_TOUCH}], {{}}), 0)"),
    Attack("run a program by vfork", "processes",
           f"import subprocess\nsubprocess._USE_POSIX_SPAWN = False\nsubprocess.call(['/bin/mkdir', {_TOUCH}])"),
    Attack("use multiprocessing", "processes", f"""
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=os.mkdir, args=({_TOUCH},))
child.start()
child.join()
"""),
    Attack("load a library of its own choice", "processes", "escaped(ctypes.CDLL(at.library))"),
)  # fmt: skip

SIGNALLING = (
    Attack("kill a process", "processes", "every(at.targets, lambda pid: os.kill(pid, 12))"),
    Attack("kill a process for good", "processes", "os.kill(at.victim, 9)"),
    Attack("stop a process", "processes", "os.kill(at.victim, 19)"),
    Attack("signal the parent", "processes", "os.kill(at.parent, 12)"),
    Attack("signal a thread", "processes", "call('tgkill', at.victim, at.victim, 15)"),
    Attack("signal by a handle of the process", "processes",
           "call('pidfd_send_signal', call('pidfd_open', at.victim, 0), 15, 0, 0)", barred=("ENOSYS",)),
    Attack("signal a group", "processes", "os.killpg(at.victim, 15)"),
    Attack("find out whether all can be signalled", "processes", "os.kill(-1, 0)\nescaped('all')", barred=("ESRCH",)),
    Attack("let a pipe signal a process", "processes", """
import fcntl
reading, writing = os.pipe()
fcntl.fcntl(reading, fcntl.F_SETOWN, at.victim)
fcntl.fcntl(reading, 10, 15)  # F_SETSIG: SIGTERM
fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
os.write(writing, b"x")
import time
time.sleep(0.2)  # for the victim to notice
"""),
    Attack("let its own output signal a process", "processes", """
import fcntl
for number in (1, 3):
    fcntl.fcntl(number, fcntl.F_SETOWN, at.victim)
    fcntl.fcntl(number, 10, 15)
    fcntl.fcntl(number, fcntl.F_SETFL, os.O_ASYNC | os.O_WRONLY)
print("x" * 10, flush=True)
import time
time.sleep(0.1)
"""),
    Attack("slow a process down", "processes",
           "every(at.targets, lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19))"),
    Attack("bind a process to a processor", "processes",
           "every(at.targets, lambda pid: os.sched_setaffinity(pid, [0]))",
           barred=("EINVAL",)),
    Attack("schedule a process last", "processes",
           "every(at.targets, lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)))"),
    Attack("make the disk slow for a process", "processes",
           "call('ioprio_set', 1, at.victim, 3 << 13)\nescaped('idle')"),
    Attack("limit a process", "processes", """
import resource
every(at.targets, lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, 8)))
"""),
    Attack("lift its own limits", "processes", """
import resource
for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (-1, -1))
    if before != (-1, -1): escaped(kind)
""", barred=("ValueError",)),
)  # fmt: skip

TRACING = (
    Attack("trace a process", "processes", """
call("ptrace", 16, at.victim, 0, 0)
escaped("attached")
os.waitpid(at.victim, 0)
call("ptrace", 17, at.victim, 0, 0)
""", barred=("EPERM",)),
    Attack("seize a process", "processes",
           "call('ptrace', 0x4206, at.victim, 0, 0)\nescaped('seized')", barred=("EPERM",)),
    Attack("read the memory of a process", "processes", """
data = ctypes.create_string_buffer(100)
here, there = (ctypes.c_uint64 * 2)(ctypes.addressof(data), 100), (ctypes.c_uint64 * 2)(at.address, 100)
call("process_vm_readv", at.victim, here, 1, there, 1, 0)
print(data.raw)
""", barred=("EPERM", "ENOSYS")),
    Attack("write the memory of a process", "processes", """
data = ctypes.create_string_buffer(b"pwned")
here, there = (ctypes.c_uint64 * 2)(ctypes.addressof(data), 5), (ctypes.c_uint64 * 2)(at.address, 5)
call("process_vm_writev", at.victim, here, 1, there, 1, 0)
""", barred=("EPERM", "ENOSYS")),
    Attack("write the memory of a process by /proc", "processes", """
os.pwrite(os.open(f"/proc/{at.victim}/mem", os.O_RDWR), b"pwned", at.address)
""", barred=("EACCES", "EPERM")),
    Attack("take a descriptor from a process", "processes", """
print(os.pread(call("pidfd_getfd", call("pidfd_open", at.victim, 0), at.descriptor, 0), 4096, 0))
""", barred=("EPERM", "ENOSYS")),
    Attack("write into the output of another process", "processes", """
def say(pid):
    os.write(os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK), at.mark.encode())
every(at.writing, say)
""", sibling=True),
    Attack("write into the findings of another run", "processes", """
data = b'["%s", 1, ""]' % at.mark.encode()
def say(pid):
    number = 3 if pid != at.victim else 1
    os.write(os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK),
             b"f" + len(data).to_bytes(4, "big") + data)
every(at.writing, say)
""", sibling=True),
    Attack("compare the kernel's objects of two processes", "processes",
           "call('kcmp', at.victim, at.parent, 1, 0, 0)\nescaped('kcmp')", barred=("ENOSYS", "EPERM")),
    Attack("take back the rights of root", "processes",
           "os.setresgid(0, 0, 0)\nos.setresuid(0, 0, 0)\nos.setgroups([0, 42])\nescaped(os.getgroups())",
           barred=ROOT_ONLY),
    Attack("set its capabilities", "processes", """
head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(1 << 21, 1 << 21, 0, 0, 0, 0)
call("capset", head, data)
escaped("CAP_SYS_ADMIN")
""", barred=ROOT_ONLY),
)  # fmt: skip

ATTACKS = STARTING + SIGNALLING + TRACING
