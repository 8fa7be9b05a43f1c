# Runs program.py as the main module, with nothing of this file left in it, and says on the channel that it ran to its end.
def _run():
    import posix
    import sys

    write, key = posix.write, posix.read(0, 64)
    posix.dup2(0, 3)
    posix.closerange(4, 65536)
    null = posix.open("/dev/null", posix.O_RDWR)
    posix.dup2(null, 0)
    posix.close(null)
    sys.path[:] = [p for p in sys.path if p]
    sys.argv[:] = ["program.py"]
    with open("program.py", "rb") as file:
        code = compile(file.read(), "program.py", "exec")
    names = globals()
    del names["_run"]
    exec(code, names)
    write(3, key)


_run()
