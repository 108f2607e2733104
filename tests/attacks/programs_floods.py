"""Programs that take too much: memory, disk, descriptors, output, findings, time, stack."""

from __future__ import annotations

from .attack import Attack

SPACE = (
    Attack("take more memory than allowed", "floods", """
much = bytearray(at.memory * 3 // 2)
much[::4096] = b"x" * len(much[::4096])
escaped(len(much))
"""),
    Attack("take memory by numpy", "floods", "escaped(np.ones(at.memory * 3 // 16).nbytes)"),
    Attack("take memory piece by piece", "floods", """
much = []
while len(much) < at.memory * 3 // 2 >> 20: much.append(os.urandom(64) * (1 << 14))
escaped(len(much))
"""),
    Attack("take memory by mappings", "floods", """
import mmap
much = []
for _ in range(at.memory * 3 // 2 >> 24):
    much.append(mmap.mmap(-1, 1 << 24))
    for page in range(0, 1 << 24, 4096): much[-1][page] = 1
escaped(len(much))
"""),
    Attack("take memory that nobody counts, in files of memory", "floods", """
files = [os.memfd_create("x") for _ in range(8)]
for _ in range(at.memory * 3 // 2 >> 23):
    for file in files: os.write(file, b"x" * (1 << 20))
escaped(len(files))
"""),
    Attack("take memory that nobody counts, in pipes", "floods", """
pipes = [os.pipe() for _ in range(400)]
for _, writing in pipes: os.set_blocking(writing, False)
escaped(sum(os.write(writing, bytes(1 << 16)) for _, writing in pipes))
"""),
    Attack("open more files than allowed", "floods", """
held = [os.open(os.__file__, os.O_RDONLY) for _ in range(900)]
escaped(len(held))
"""),
    Attack("duplicate descriptors without end", "floods", "held = [os.dup(1) for _ in range(900)]\nescaped(len(held))"),
    Attack("fill the disk", "floods", """
def fill(folder):
    with open(f"{folder}/{at.mark}-flood", "wb") as file:
        for _ in range(64): file.write(bytes(1 << 20))
    escaped(file.name)
every([at.home, "/tmp", "/dev/shm", "/var/tmp", "."], fill)
"""),
    Attack("print without end", "floods", """
for _ in range(at.flood >> 16): os.write(1, b"x" * (1 << 16))
""", control="read"),
    Attack("print one line without end", "floods", "print('é' * (at.flood >> 2))", control="read"),
    Attack("write findings without end", "floods", "for number in range(5000): emit(f'f{number}', number)"),
    Attack("write findings without measure", "floods", "for number in range(12): emit(f'f{number}', 'x' * 900_000)"),
    Attack("send empty frames without end", "floods", """
for _ in range(at.flood >> 18): os.write(3, b"f\\0\\0\\0\\0" * 50_000)
""", control="read"),
    Attack("exhaust the stack", "floods", """
sys.setrecursionlimit(10**9)
class Deep:
    def __repr__(self): return repr(self)
deep = []
for _ in range(10**6): deep = [deep]
print(hash(eval("(" * 90 + ")" * 90)), len(repr(deep)))
""", control="crash"),
)  # fmt: skip

CRASHES = (
    Attack("abort", "floods", "os.abort()", control="crash"),
    Attack("read the address nought", "floods", "ctypes.string_at(0)", control="crash"),
    Attack("kill itself", "floods", "os.kill(os.getpid(), 9)", control="crash"),
    Attack("jump into the void", "floods", "ctypes.CFUNCTYPE(None)(16)()", control="crash"),
)  # fmt: skip

TIME = (
    Attack("sleep for long", "time", "import time\ntime.sleep(20)", control="hang"),
    Attack("sleep for long and catch everything", "time", """
import time
end = time.time() + 20
while time.time() < end:
    try: time.sleep(20)
    except BaseException: pass
""", control="hang", full=True),
    Attack("compute for long and ignore all signals", "time", """
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
end = time.time() + 20
while time.time() < end: pass
""", control="hang"),
    Attack("compute for long below Python", "time", "print(len(str(10 ** 10 ** 8 % 7)))", control="hang"),
    Attack("match an expression without end", "time", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')", control="hang",
           full=True),
    Attack("close its pipes and stay", "time", "import time\nos.closerange(0, 4)\ntime.sleep(20)", control="hang"),
    Attack("stop itself", "time", "os.kill(os.getpid(), 19)", control="hang", full=True),
    Attack("print slowly for long", "time", """
import time
for line in range(200):
    print("line", line, flush=True)
    time.sleep(0.1)
""", control="hang", full=True),
    Attack("wait on a lock", "time", "import threading\nthreading.Lock().acquire() and threading.Event().wait(20)",
           control="hang", full=True),
)  # fmt: skip

ATTACKS = SPACE + CRASHES + TIME
