"""Programs whose victim is whoever reads what they write: forged, broken and endless results, and terminal tricks."""

from __future__ import annotations

from .attack import Attack

_WRITE = """
def frame(data, kind=b"f", length=None):
    return kind + (len(data) if length is None else length).to_bytes(4, "big") + data
def write(data):
    rest = memoryview(data)
    while rest: rest = rest[os.write(3, rest):]
"""


def _forged(data: str, after: str = "") -> str:
    return f"{_WRITE}\nwrite({data})\n{after}"


ATTACKS = (
    Attack("forge a pickle", "parent", _forged("""frame(
    b"cposix\\nsystem\\n(S'touch " + at.home.encode() + b"/pickled'\\ntR.")"""), control="pickle"),
    Attack("forge a million open brackets", "parent", _forged("frame(b'[' * 1_000_000)"), control="json"),
    Attack("forge two hundred thousand levels", "parent", _forged("frame(b'[' * 200_000 + b']' * 200_000)"),
           control="json"),
    Attack("forge levels inside a finding", "parent",
           _forged("frame(b'[\"a\", ' + b'{\"a\":' * 100_000 + b'1' + b'}' * 100_000 + b', \"\"]')"), control="json"),
    Attack("forge a number of a million digits", "parent", _forged("frame(b'[\"a\", ' + b'9' * 900_000 + b', \"\"]')"),
           control="json"),
    Attack("forge a number just below the limit of digits", "parent",
           _forged("frame(b'[\"a\", ' + b'9' * 4_000 + b', \"\"]')"), control="store"),
    Attack("forge values that are no numbers", "parent",
           _forged("frame(b'[\"a\", [NaN, Infinity, -Infinity, 1e999], \"\"]')"), control="store"),
    Attack("forge a lone surrogate", "parent",
           _forged("frame(b'[\"a\\\\ud800\", \"\\\\udfff\", \"\"]')"), control="store"),
    Attack("forge an object for a list", "parent", _forged("frame(b'{\"name\": 1}')"), control="json"),
    Attack("forge a list that is too long", "parent", _forged("frame(b'[1, 2, 3, 4]')"), control="json"),
    Attack("forge a name that is no text", "parent", _forged("frame(b'[{}, [], 7]')"), control="json"),
    Attack("forge a name that is too long", "parent", _forged("frame(b'[\"' + b'n' * 900_000 + b'\", 1, \"\"]')"),
           control="store"),
    Attack("forge half a finding", "parent", _forged("frame(b'[\"a\", 1, ')"), control="json"),
    Attack("forge bytes that are no text", "parent", _forged("frame(b'\\xff\\xfe\\x80[')"), control="json"),
    Attack("forge an empty finding", "parent", _forged("frame(b'')"), control="json"),
    Attack("forge a kind of frame that there is not", "parent", _forged("frame(b'x', kind=b'?')"), control="json"),
    Attack("forge a length of four gigabytes", "parent", _forged("frame(b'x', length=0xffffffff)"), control="json"),
    Attack("forge a frame that never ends", "parent", _forged("frame(b'x', length=1_000_000)",
           "import time\ntime.sleep(20)"), control="hang", full=True),
    Attack("forge a length that is too short", "parent",
           _forged("frame(b'[\"a\", 1, \"\"]', length=3)"), control="json"),
    Attack("forge values without end in one finding", "parent",
           _forged("frame(b'[\"a\", [' + b'0,' * 400_000 + b'0], \"\"]') * 40"), control="read"),
    Attack("forge terminal sequences in a finding", "parent", _forged("frame("
           "b'[\"\\\\u001b[2J\\\\u001b]0;title\\\\u0007\", \"\\\\u202e\\\\u0000\\\\u009b31m\", \"\\\\u001b[8m\"]')"),
           control="print"),
    Attack("print terminal sequences", "parent", r"""
os.write(1, b"\x1b[2J\x1b]8;;http://x\x07link\x1b]8;;\x07\x1b]52;c;aGk=\x07\r\x08\x9b31m\xc2\x9b31m\x00")
print("\u202eright to left\u2066\u200b\ufeff")
""", control="print"),
    Attack("raise terminal sequences", "parent", r"raise ValueError('\x1b[2J\x1b]0;title\x07\u202e')", control="print"),
    Attack("print bytes that are no text", "parent", r"os.write(1, b'\xff\xfe\xed\xa0\x80' * 1000)", control="store"),
    Attack("report the end and go on", "parent", _forged("frame(b'0', kind=b'd')", "import time\ntime.sleep(20)"),
           control="hang", full=True),
    Attack("report wrong frames and leave with success", "parent", _forged("frame(b'lies', kind=b'f')", "os._exit(0)"),
           control="json"),
    Attack("close the output and leave", "parent", "os.closerange(0, 9)\nos._exit(0)", control="json"),
    Attack("emit an object that lies about its class", "parent", """
class Liar(dict):
    def __len__(self): return 1 << 60
    def __iter__(self): return iter(["\\x1b[2J"])
    def __getitem__(self, key): return float("nan")
    def __str__(self): return "\\x1b[2J"
emit(Liar(), Liar(), Liar())
""", control="print"),
)  # fmt: skip
