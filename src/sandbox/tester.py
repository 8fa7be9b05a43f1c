# Tests programs that it does not run: each is on the other end of a channel that comes with its tests, and answers calls with plain data.
import _socket
import ast
import builtins
import gc
import json
import os
import random
import resource
import sys

# Bytes of an answer.
LARGEST = 16 << 20
# What tests use is loaded once.
for _name in ("copy", "math", "re", "string", "typing"):
    __import__(_name)


class Gone(BaseException):
    """Nothing more comes from the program."""


class Broken(BaseException):
    """What came is no answer."""


class Far:
    """Something of the program that is no plain data; it can be called and handed back."""

    def __init__(self, program, number):
        self.__program, self.__number = program, number

    def __call__(self, *args, **options):
        return self.__program.call(self, args, options)

    def number(self):
        return self.__number


class Program:
    """The other end of the channel."""

    def __init__(self, channel):
        self.channel, self.end = channel, None
        self.dump, self.load = plain(self.hold, self.found)

    def hold(self, value):
        if type(value) is Far:
            return value.number()
        raise TypeError("a test hands over a value of type %r, which is no plain data" % type(value).__name__)

    def found(self, number):
        return Far(self, number)

    def exchange(self, data):
        if self.end is not None:
            raise self.end
        try:
            data = len(data).to_bytes(4, "big") + data
            while data:
                data = data[os.write(self.channel, data) :]
            size = int.from_bytes(exactly(self.channel, 4), "big")
            if size > LARGEST:
                raise Broken
            answer = exactly(self.channel, size)
        except OSError:
            self.end = Gone()
        except (Gone, Broken) as error:
            self.end = error
        if self.end is not None:
            raise self.end
        try:
            fine, value, rest = self.load(answer)
            if fine is False:
                name, said = rest
                if not type(value) is type(name) is type(said) is str:
                    raise ValueError
            elif fine is not True:
                raise ValueError
        except MemoryError:
            raise
        except Exception:
            self.end = Broken()
            raise self.end
        return fine, value, rest

    def call(self, function, args, options):
        fine, value, rest = self.exchange(self.dump((function, args, options)))
        if not fine:
            raise error_of(value, *rest)
        # Where something is returned, tests compare it with what they know of the arguments: these stay what they were.
        if value is None and rest is not None:
            refill((args, options), rest)
        return value

    def defined(self, names):
        """Those of the names that the program defines, with their values."""
        fine, found, rest = self.exchange(self.dump((None, names, None)))
        if not fine:
            raise error_of(found, *rest)
        values = {}
        for name in names:
            if name not in found:
                continue
            if found[name] is not None:
                (values[name],) = found[name]
            elif name in getattr(sys, "stdlib_module_names", sys.builtin_module_names):
                values[name] = __import__(name)
        return values


def error_of(kind, name, said):
    """An exception of the builtin type that one of the program's is, with what it said."""
    kind = getattr(builtins, kind, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = Exception
    try:
        error = kind(said)
    except Exception:
        error = Exception(said)
    error.told = name
    return error


def refill(old, new):
    """Gives what was handed over the content that the program left it with; what cannot be changed is replaced."""
    kind = type(old)
    if kind is Far:
        return old
    if kind is not type(new):
        return new
    if kind is list:
        old[:] = [refill(*pair) for pair in zip(old, new)] + new[len(old) :]
    elif kind is dict:
        items = {key: refill(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(items)
    elif kind is set:
        old.clear()
        old.update(new)
    elif kind is bytearray:
        old[:] = new
    elif kind is tuple and len(old) == len(new):
        return tuple(refill(*pair) for pair in zip(old, new))
    else:
        return new
    return old


def trusted(prompt, space):
    """Defines what the prompt defines, but for the function that is asked for: helpers of the tests are the prompt's, not the program's."""
    try:
        tree = ast.parse(prompt)
    except (SyntaxError, ValueError):
        return
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for i, node in enumerate(tree.body):
        if isinstance(node, kinds):
            empty = all(isinstance(s, ast.Pass) or isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in node.body)
            if empty or i + 1 == len(tree.body):
                continue
        try:
            exec(compile(ast.Module([node], []), "prompt.py", "exec"), space)
        except Exception:
            pass


def asked(code, entry, space):
    """Names that the tests use and only the program can define."""
    used, codes = set(), [code]
    while codes:
        code = codes.pop()
        used.update(code.co_names)
        codes.extend(part for part in code.co_consts if type(part) is type(code))
    free = {name for name in used if name not in space and not hasattr(builtins, name)}
    return sorted(free | ({entry} if entry else set()))


def verdict(order, channel):
    """Runs the tests; what is to be said of the program."""
    program = Program(channel)
    space = {"__name__": "__main__"}
    try:
        tests = compile(order["tests"], "tests.py", "exec")
        exec(compile(order["setup"], "setup.py", "exec"), space)
        trusted(order["prompt"], space)
        space.update(program.defined(asked(tests, order["entry_point"], space)))
        exec(tests, space)
    except BaseException as error:
        name = getattr(error, "told", type(error).__name__)
        outcome = "failed " + " ".join(("%s: %s" % (name, error) if str(error) else name).split())[:10000]
    else:
        outcome = "passed"
    # What the tests catch changes nothing.
    if isinstance(program.end, Gone):
        return "gone"
    if isinstance(program.end, Broken):
        return "failed ProtocolError: the program wrote into its channel"
    return outcome


def receive(control):
    """The next order and the channel to its program; none at the end."""
    size, extra, _, _ = control.recvmsg(4, _socket.CMSG_SPACE(4))
    if not size:
        return None
    (channel,) = (int.from_bytes(data[:4], sys.byteorder) for _, _, data in extra)
    size += exactly(control.fileno(), 4 - len(size))
    return json.loads(exactly(control.fileno(), int.from_bytes(size, "big"))), channel


def exactly(fd, size):
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            raise Gone
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def tell(control, text):
    data = (text + "\n").encode("utf-8", "replace")
    while data:
        data = data[os.write(control.fileno(), data) :]


def main():
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    sys.path[:] = [p for p in sys.path if p]
    # What is there now is not looked at again, and so not copied.
    gc.freeze()
    while (next := receive(control)) is not None:
        order, channel = next
        child = os.fork()
        if child == 0:
            status = 1
            try:
                seconds = order["cpu"]
                resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
                random.seed()
                tell(control, verdict(order, channel))
                status = 0
            finally:
                os._exit(status)
        os.close(channel)
        status = os.waitpid(child, 0)[1]
        if status != 0:
            tell(control, "died %d" % status)


main()
