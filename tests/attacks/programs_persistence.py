"""Programs that leave something behind: for the next run, or running when theirs is over."""

from __future__ import annotations

from .attack import Attack


def _left(name: str, code: str, then: str) -> Attack:
    """`then` is an expression, true where the next run still finds it."""
    return Attack(name, "persistence", code, then=f"if {then}: escaped('still there')")


LEFT = (
    _left("change the records", "records.loc[:, 'score'] = 99.0", "(records['score'] == 99.0).any()"),
    _left("empty the records in place", "records.drop(records.index, inplace=True)", "len(records) == 0"),
    _left("write through the memory of the records", "records['score'].to_numpy().setflags(write=1)\n"
          "ctypes.memset(records['score'].to_numpy().ctypes.data, 0x7f, 8)", "records['score'].iloc[0] > 10"),
    _left("patch a builtin", "import builtins\nbuiltins.sorted = lambda *_, **__: 7", "sorted([]) == 7"),
    _left("add a builtin", "import builtins\nbuiltins.planted = 1", "hasattr(__import__('builtins'), 'planted')"),
    _left("plant a module", "sys.modules['planted'] = sys", "'planted' in sys.modules"),
    _left("patch a module", "import math\nmath.sqrt = lambda _: 7", "__import__('math').sqrt(4) == 7"),
    _left("patch the toolkit", "import toolkit\ntoolkit.preset = None\ntoolkit.planted = 1",
          "hasattr(__import__('toolkit'), 'planted')"),
    _left("patch pandas", "pd.DataFrame.mean = lambda *_: 7", "type(pd.DataFrame({'a': [1]}).mean()) is int"),
    _left("set options of pandas", "pd.set_option('display.max_rows', 3)", "pd.get_option('display.max_rows') == 3"),
    _left("patch numpy", "np.mean = lambda *_: 7", "np.mean([1]) == 7"),
    _left("draw from the generator of numpy", "np.random.seed(7)\nnp.random.rand()",
          "np.random.rand() == np.random.RandomState(7).rand(2)[1]"),
    _left("draw from the generator of Python", "import random\nrandom.seed(7)\nrandom.random()",
          "__import__('random').random() == (lambda r: (r.random(), r.random())[1])(__import__('random').Random(7))"),
    _left("set the environment", "os.environ['PLANTED'] = 'x'\nlibc.setenv(b'OTHER', b'x', 1)",
          "'PLANTED' in os.environ or libc.getenv(b'OTHER')"),
    _left("extend the path of imports", "sys.path.insert(0, '/planted')", "'/planted' in sys.path"),
    _left("plant an import hook",
          "class Hook:\n  find_spec = planted = lambda *_: None\nsys.meta_path.insert(0, Hook())",
          "any(hasattr(each, 'planted') for each in sys.meta_path)"),
    _left("leave a trace function", "sys.settrace(lambda *_: None)", "sys.gettrace() is not None"),
    _left("leave a profile function", "sys.setprofile(lambda *_: None)", "sys.getprofile() is not None"),
    _left("replace the output", "class Out(type(sys.stdout)): planted = 1\nsys.stdout = sys.__stdout__ = "
          "Out(open(1, 'wb', closefd=False, buffering=0))", "hasattr(sys.stdout, 'planted')"),
    _left("leave a timer", "import signal\nsignal.signal(14, lambda *_: None)\nsignal.setitimer(0, 50)",
          "__import__('signal').getitimer(0)[0] > 0"),
    _left("ignore a signal", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
          "__import__('signal').getsignal(15) == 1"),
    _left("change the folder", "os.chdir('/usr')", "os.getcwd() == '/usr'"),
    _left("set the mask of new files", "os.umask(0o777)", "os.umask(0o022) == 0o777"),
    _left("leave a file in its folder", "open(at.mark, 'w').close()", "os.path.exists(at.mark)"),
    _left("keep a descriptor", "os.dup2(1, 41)", "libc.fcntl(41, 1) != -1"),
    _left("keep an object alive", "sys.planted = records", "hasattr(sys, 'planted')"),
    _left("lower the recursion limit", "sys.setrecursionlimit(150)", "sys.getrecursionlimit() == 150"),
    _left("switch the collector off", "import gc\ngc.disable()", "not __import__('gc').isenabled()"),
    Attack("replace emit", "persistence", """
import builtins
space = getattr(emit, "__func__", emit).__globals__
for name in ("send", "frame"):
    if name in space:
        def planted(*given, real=space[name]): return real(*given)
        space[name] = builtins.planted = planted
""", then="if hasattr(__import__('builtins'), 'planted'): escaped('still there')"),
    Attack("act at the end of the process", "persistence", """
import atexit
atexit.register(lambda: open(at.home + "/later", "w"))
class Later:
    def __del__(self, open=open, path=at.home + "/last"): open(path, "w")
sys.later = Later()
"""),
)  # fmt: skip

STAYING = (
    Attack("leave a daemon", "persistence", """
import time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 1024)
        time.sleep(15)
    os._exit(0)
os.wait()
"""),
    Attack("leave a child", "persistence", """
import time
if os.fork() == 0:
    os.closerange(0, 1024)
    time.sleep(15)
    os._exit(0)
"""),
    Attack("leave a program", "persistence", """
import subprocess
subprocess.Popen(["/bin/sleep", "15"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
"""),
    Attack("outlive its parent", "persistence", """
import time
libc.prctl(1, 0, 0, 0, 0)  # no signal at the parent's death
if os.fork() == 0:
    os.setsid()
    os.closerange(0, 1024)
    time.sleep(15)
    os._exit(0)
"""),
)  # fmt: skip

ATTACKS = LEFT + STAYING
