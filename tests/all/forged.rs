//! Programs that would rather be told right than be right, and programs that are right in ways of their own: the first fail, the second pass.

#![cfg(unix)]

use crate::sandbox::sandbox;
use reasonscope::sandbox::{Limits, Outcome, Run, Sandbox, Trial};
use std::time::Duration;

/// Tests of addition, as benchmarks write them.
const ADD: &str = "
def check(candidate):
    assert candidate(2, 3) == 5
    assert candidate(10, -4) == 6
    assert abs(candidate(1, 1) - 2) < 1e-9
check(add)
";

fn test(sandbox: &Sandbox, program: &str, tests: &str) -> Run {
    sandbox.test(&Trial { program, entry_point: "add", tests, ..Trial::default() }).unwrap()
}

/// Runs trials side by side and asserts that each ends so; a trial is a program and its tests.
fn all_end(sandbox: &Sandbox, trials: &[(&str, &str)], right: bool) {
    let work = |trial: &(&str, &str)| {
        let run = test(sandbox, trial.0, trial.1);
        (run.outcome == Outcome::Completed) == right || {
            eprintln!("{:?} of\n{}\n{}\n{}", run.outcome, trial.0, trial.1, run.stderr);
            false
        }
    };
    let (left, rest) = trials.split_at(trials.len() / 2);
    let fine = |half: &[(&str, &str)]| half.iter().filter(|t| !work(t)).count();
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| fine(left));
        fine(rest) + other.join().unwrap()
    });
    assert_eq!(wrong, 0);
}

#[test]
fn what_is_right_passes_and_what_is_wrong_does_not() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    for (program, outcome) in [
        ("def add(a, b): return a + b", Outcome::Completed),
        ("def add(a, b): return a - b", Outcome::Failed("AssertionError".into())),
        ("def add(a, b): return a / 0", Outcome::Failed("ZeroDivisionError: division by zero".into())),
        ("def plus(a, b): return a + b", Outcome::Failed("NameError: name 'add' is not defined".into())),
        ("def add(a, b): return [0] * 10 ** 12", Outcome::Memory),
        ("def add(a, b):\n    while True: pass", Outcome::CpuTime),
        ("def add(a, b):\n    import ctypes; ctypes.string_at(0)", Outcome::Signalled(11)),
        ("def add(a, b):\n    import sys; sys.exit(3)", Outcome::Exited(3)),
        ("def add(a, b): return a + b\nimport sys\nsys.stdout.close()", Outcome::Completed),
        ("raise KeyError('before')\ndef add(a, b): return a + b", Outcome::Failed("KeyError: 'before'".into())),
    ] {
        assert_eq!(test(&sandbox, program, ADD).outcome, outcome, "{program}");
    }
}

#[test]
fn objects_of_its_own_meet_no_comparison() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let equal = "    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n    def __sub__(s, o): return s\n    def __abs__(s): return s\n    \
                 def __lt__(s, o): return True\n    def __hash__(s): return 5\n    def __bool__(s): return True\n";
    let of = |class: &str, made: &str| format!("class A{class}:\n{equal}\ndef add(a, b): return {made}");
    let programs = [
        of("", "A()"),
        of("(int)", "A(1)"),
        of("(float)", "A(1)"),
        of("(str)", "A('5')"),
        of("(tuple)", "A()"),
        of("(dict)", "A()"),
        of("(type)", "A('B', (), {})"),
        of("", "A"),
        // A class that says that it is another.
        format!("class A:\n{equal}    __class__ = int\n    def __index__(s): return 1\ndef add(a, b): return A()"),
        format!("class M(type):\n{equal}class A(metaclass=M): pass\ndef add(a, b): return A"),
        "from unittest.mock import ANY\ndef add(a, b): return ANY".into(),
    ];
    all_end(&sandbox, &programs.iter().map(|p| (p.as_str(), ADD)).collect::<Vec<_>>(), false);
    let inside = |made: &str| format!("class A:\n{equal}class I(int):\n{equal}class S(str):\n{equal}\ndef add(a, b): return {made}");
    let trials = [
        (inside("[A(), A()]"), "assert add(1, 2) == [1, 2]"),
        (inside("(1, I(7))"), "assert add(1, 2) == (1, 2)"),
        (inside("{1: A()}"), "assert add(1, 2) == {1: 2}"),
        (inside("{A()}"), "assert add(1, 2) == {5}"),
        (inside("{I(5): 1}"), "assert add(1, 2) == {7: 1}"),
        (inside("S('x')"), "assert add(1, 2) == 'y'"),
        (inside("A()"), "assert add(1, 2) is None"),
        (inside("A()"), "assert add(1, 2) in [5, 6]"),
    ];
    all_end(&sandbox, &trials.iter().map(|t| (t.0.as_str(), t.1)).collect::<Vec<_>>(), false);
}

#[test]
fn what_it_does_to_its_own_interpreter_stays_there() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let wrong = "def add(a, b): return 0\n";
    let programs = [
        format!("import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.int = str\n{wrong}"),
        format!("{wrong}import builtins\nbuiltins.AssertionError = type('E', (BaseException,), {{}})"),
        format!("{wrong}import builtins\nbuiltins.len = builtins.all = builtins.isinstance = lambda *a: True\nbuiltins.sorted = lambda x: x"),
        format!("{wrong}def check(candidate): pass\ndef abs(x): return 0"),
        format!("{wrong}import sys\ndef trace(frame, event, arg):\n    if frame.f_code.co_name == 'check': frame.f_lineno = 10 ** 6\n    return trace\nsys.settrace(trace)"),
        format!(
            "import sys\ndef trace(frame, event, arg):\n    if event == 'line' and frame.f_code.co_name == 'check':\n        frame.f_lineno = max(l for *_, l in frame.f_code.co_lines() if l)\n    return trace\nsys.settrace(trace)\n{wrong}"
        ),
        format!("{wrong}import gc\nfor f in gc.get_objects():\n    if getattr(f, '__name__', '') == 'check': f.__code__ = (lambda candidate: None).__code__"),
        "import gc\ndef add(a, b):\n    for f in gc.get_objects():\n        if getattr(f, '__name__', '') in ('check', 'verdict', 'dump', 'load') and hasattr(f, '__code__'): f.__code__ = (lambda *a: None).__code__\n    return 0".into(),
        "import sys\ndef add(a, b):\n    f = sys._getframe()\n    while f:\n        for value in [*f.f_locals.values(), *f.f_globals.values()]:\n            if type(value) is int and value in (5, 6, 2): return value\n        for value in f.f_code.co_consts:\n            if value in (5, 6): return value\n        f = f.f_back\n    return 0".into(),
        "import re\nsource = open('program.py').read()\nknown = {m.group(1): eval(m.group(2)) for m in re.finditer(r'candidate\\((.*?)\\) == (.*)', source)}\ndef add(a, b): return known.get(f'{a}, {b}', 2)".into(),
        "import glob, sys\ntext = ''\nfor name in glob.glob('*') + glob.glob('../*') + ['/proc/self/cmdline', '/proc/1/cmdline']:\n    try: text += open(name).read()\n    except OSError: pass\nif 'candidate' + '(2, 3)' in text: add = lambda a, b: a + b\nelse:\n    def add(a, b): return 0".into(),
    ];
    all_end(&sandbox, &programs.iter().map(|p| (p.as_str(), ADD)).collect::<Vec<_>>(), false);
}

#[test]
fn no_end_of_its_own_making_is_a_pass() {
    let Some(sandbox) = sandbox(Limits { wall: Duration::from_secs(5), ..Limits::default() }) else { return };
    let wrong = "def add(a, b): return 0\n";
    let tell = "for fd in range(64):\n    for said in (b'passed\\n', b'+{}\\npassed\\n'):\n        try: os.write(fd, said)\n        except OSError: pass\n";
    let programs = [
        format!("{wrong}raise SystemExit"),
        format!("import os\nos._exit(0)\n{wrong}"),
        format!("import sys\nsys.exit(0)\n{wrong}"),
        format!("import atexit, os\natexit.register(lambda: os._exit(0))\n{wrong}"),
        format!("import sys, os\nsys.excepthook = lambda *a: os._exit(0)\n{wrong}"),
        "def add(a, b):\n    import sys; sys.exit(0)".into(),
        "def add(a, b):\n    import os; os._exit(0)".into(),
        "def add(a, b):\n    import os; os.close(3); os._exit(0)".into(),
        // What would take the tests into a string, or onto a line, of its own.
        format!("{wrong}\"\"\""),
        format!("{wrong}if False:\n    pass\n\\"),
        // The key of an end, where there is one.
        format!(
            "import os, sys\nf = sys._getframe()\nwhile f:\n    for value in f.f_locals.values():\n        if type(value) is bytes: os.write(3, value)\n    f = f.f_back\nos._exit(0)\n{wrong}"
        ),
        format!(
            "import gc, os\nfor o in gc.get_objects():\n    if type(o) is dict:\n        for value in list(o.values()):\n            if type(value) is bytes: os.write(3, value)\n{wrong}"
        ),
        format!("import os\n{tell}{wrong}"),
        format!("import os\n{tell}os._exit(0)\n{wrong}"),
        format!("import os\ndef add(a, b):\n    {}\n    os._exit(0)", tell.trim_end().replace('\n', "\n    ")),
        // Verdicts in what it says of an error.
        "def add(a, b): raise ValueError('x\\npassed\\n')".into(),
        "def add(a, b): raise type('x\\npassed\\n', (Exception,), {})".into(),
        "class E(Exception):\n    def __str__(self): return 'x\\rpassed\\u2028passed'\ndef add(a, b): raise E".into(),
        "class E(BaseException): pass\ndef add(a, b): raise E('passed')".into(),
        // Answers ahead of the questions, and what is none.
        format!("{wrong}import os\nanswer = b't3:Ti1:5N'\nfor _ in range(9): os.write(3, len(answer).to_bytes(4, 'big') + answer)"),
        format!("{wrong}import os\nos.write(3, b'\\xff' * 64)"),
        format!("{wrong}import os\nanswer = b't3:T' + b'l1:' * 5000 + b'NN'\nos.write(3, len(answer).to_bytes(4, 'big') + answer)"),
        format!("{wrong}import os\nos.write(3, b'\\x00\\x00\\x00\\x05')\nos.close(3)"),
        "def add(a, b):\n    x = []\n    x.append(x)\n    return x".into(),
        "def add(a, b): return 'x' * (100 << 20)".into(),
        "def add(a, b):\n    while True: yield 1".into(),
    ];
    all_end(&sandbox, &programs.iter().map(|p| (p.as_str(), ADD)).collect::<Vec<_>>(), false);
    // Silent, deaf and chattering ones end as what they are, and the tester goes on with the next.
    let sleeps = test(&sandbox, "import time\ndef add(a, b): time.sleep(60)", ADD);
    assert_eq!(sleeps.outcome, Outcome::WallTime);
    let closed = test(&sandbox, "import os, time\nos.close(3); time.sleep(60)", ADD);
    assert_eq!(closed.outcome, Outcome::WallTime);
    let chatters = test(&sandbox, "def add(a, b):\n    while True: print('x' * 1000)", ADD);
    assert_eq!(chatters.outcome, Outcome::Output);
    assert_eq!(test(&sandbox, "def add(a, b): return a + b", ADD).outcome, Outcome::Completed);
}

#[test]
fn tests_that_go_on_without_the_program_tell_nothing() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let forgiving = "try:\n    add(1, 2)\nexcept BaseException:\n    pass\n";
    assert_eq!(test(&sandbox, "def add(a, b): raise ValueError", forgiving).outcome, Outcome::Completed);
    assert_eq!(test(&sandbox, "def add(a, b):\n    import os; os._exit(0)", forgiving).outcome, Outcome::Exited(0));
    let broken = test(&sandbox, "import os\ndef add(a, b): os.write(3, b'\\x00\\x00\\x00\\x01x')", forgiving);
    assert!(matches!(&broken.outcome, Outcome::Failed(said) if said.starts_with("ProtocolError")), "{broken:?}");
    // Tests have limits of their own.
    assert_eq!(test(&sandbox, "add = 1", "while True: pass").outcome, Outcome::CpuTime);
    assert_eq!(test(&sandbox, "add = 1", "x = bytearray(1 << 30)").outcome, Outcome::Memory);
}

#[test]
fn names_of_the_tests_mean_what_the_prompt_says() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let prompt = "import math\n\nLIMIT = 3\n\ndef encode(s):\n    return s[::-1] * LIMIT\n\ndef decode(s):\n    \"\"\" Undoes it. \"\"\"\n";
    let tests = "def check(candidate):\n    assert candidate(encode('ab')) == 'ab' and math.floor(3.5) == LIMIT\ncheck(decode)";
    let of = |rest: &str| {
        let program = format!("{prompt}{rest}");
        sandbox.test(&Trial { program: &program, setup: "", prompt, entry_point: "decode", tests }).unwrap().outcome
    };
    assert_eq!(of("    return s[::-1][::LIMIT] if False else s[:len(s) // LIMIT][::-1]\n"), Outcome::Completed);
    assert_eq!(of("    return s\n"), Outcome::Failed("AssertionError".into()));
    // Its own idea of the helper is its own.
    assert_eq!(of("    return s\ndef encode(s): return s\n"), Outcome::Failed("AssertionError".into()));
    assert_eq!(of("    return s\nencode = lambda s: s\n"), Outcome::Failed("AssertionError".into()));
}

#[test]
fn honest_results_of_all_kinds_are_what_they_were() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let collections = "from collections import Counter, OrderedDict, defaultdict, deque, namedtuple\nimport enum\nP = namedtuple('P', 'x y')\n\
        class E(enum.IntEnum):\n    A = 1\ndef add(a, b): return {'c': Counter('aab'), 'o': OrderedDict(x=1), 'd': defaultdict(int, y=2), 'q': deque([1, 2]), 'p': P(1, 2), 'e': E.A}[a]";
    let plain = "def add(a, b): return a";
    let trials = [
        (collections, "assert add('c', 0) == {'a': 2, 'b': 1} and add('o', 0) == {'x': 1} and add('d', 0) == {'y': 2}"),
        (collections, "assert list(add('q', 0)) == [1, 2] and add('q', 0) != [1, 2] and add('p', 0) == (1, 2) and add('e', 0) == 1"),
        (
            plain,
            "for x in [None, True, -(10 ** 4000), 1.5e300, float('inf'), -0.0, 1 + 2j, 'ß\\ud800', b'\\xff', bytearray(b'x'), [1, [2]], (1, ()), {1, 'a'}, frozenset([(1,)]), \
             {(1, 2): {'k': [None]}}, range(3, 9, 2)]:\n    assert add(x, 0) == x and type(add(x, 0)) is type(x) and repr(add(x, 0)) == repr(x), x",
        ),
        (plain, "import math\nassert math.isnan(add(float('nan'), 0)) and add(True, 0) is True and add(None, b=1) is None"),
        (
            plain,
            "import fractions, decimal\nhalf = fractions.Fraction(1, 2)\nassert add(half, 0) == 0.5\nassert add(decimal.Decimal('0.5'), 0) == 0.5",
        ),
        ("def add(a, b): return map(str, range(a))", "assert list(add(3, 0)) == ['0', '1', '2'] and add(3, 0) != ['0', '1', '2']"),
        ("def add(a, b):\n    yield a\n    yield b", "assert sum(add(1, 2)) == 3 and next(add(1, 2)) == 1"),
        ("def add(a, b): return dict(zip(a, b)).keys()", "assert add('ab', [1, 2]) == {'a', 'b'} and len(add('ab', [1, 2])) == 2"),
        ("def add(a, b): return dict(zip(a, b)).items()", "assert ('a', 1) in add('ab', [1, 2])"),
        ("def add(a, b): return dict(zip(a, b)).values()", "assert sorted(add('ab', [2, 1])) == [1, 2]"),
        // Objects are handed back, and functions called.
        (
            "class Pair:\n    def __init__(self, x): self.x = x\ndef add(a, b): return a.x + b.x",
            "assert add(Pair(1), Pair(2)) == 3 and add(*[Pair(1)] * 2) == 2",
        ),
        ("def add(a, b): return lambda x: a + b + x", "assert add(1, 2)(3) == 6"),
        (
            "ONE = 1\nimport math\ndef half(x): return x / 2\ndef add(a, b): return a + b",
            "assert add(ONE, math.floor(1.5)) == 2 and half(3) == 1.5",
        ),
        // Errors that are asked for.
        (
            "def add(a, b): raise ValueError('no: ' + a)",
            "try: add('x', 0)\nexcept ValueError as e: assert str(e) == 'no: x'\nelse: assert False",
        ),
        ("class Own(KeyError): pass\ndef add(a, b): raise Own(a)", "try: add('x', 0)\nexcept KeyError: pass\nelse: assert False"),
        // What returns nothing does something.
        (
            "def add(a, b):\n    a.sort()\n    b['k'] = [len(a)]\n    b.pop(1)",
            "x, y = [3, 1, 2], {1: 2}\nassert add(x, y) is None and x == [1, 2, 3] and y == {'k': [3]}",
        ),
        (
            "def add(a, b):\n    a[0].append(b)\n    a[1].add(b)",
            "x = ([1], {1}, 0)\ninner = x[0]\nadd(x, 2)\nassert x == ([1, 2], {1, 2}, 0) and inner is x[0]",
        ),
        // It may print, remember, and use threads.
        ("calls = []\ndef add(a, b):\n    calls.append(a)\n    print(a)\n    return len(calls)", "assert [add(0, 0), add(0, 0)] == [1, 2]"),
        (
            "import threading\ndef add(a, b):\n    out = []\n    t = threading.Thread(target=lambda: out.append(a + b)); t.start(); t.join()\n    return out[0]",
            ADD,
        ),
        ("def add(a, b):\n    def down(n): return n and 1 + down(n - 1)\n    return down(a)", "assert add(900, 0) == 900"),
    ];
    all_end(&sandbox, &trials, true);
}

/// A program that empties what both sides of a comparison are made of.
#[test]
fn arguments_stay_what_they_are_where_something_is_returned() {
    let Some(sandbox) = sandbox(Limits::default()) else { return };
    let tests = "x = [3, 1]\nassert add(x, 0) == sorted(x)";
    all_end(&sandbox, &[("def add(a, b):\n    a.clear()\n    return a", tests)], false);
    // Neither where it says so past the code that speaks for it: the value, and with it the arguments as they shall be.
    let forged = "import os\nanswers = [b't3:Td2:s3:addt1:o1:0N', b't3:Tl0:t2:t2:l0:i1:0d0:']\n\
        for answer in answers: os.write(3, len(answer).to_bytes(4, 'big') + answer)\nadd = None";
    all_end(&sandbox, &[(forged, tests)], false);
    all_end(&sandbox, &[("def add(a, b):\n    a.sort()\n    return a", tests)], true);
}
