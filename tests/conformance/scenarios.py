"""Runs scenarios of a client's script, each in a process of its own, but imports the client once.

Usage: python scenarios.py SCRIPT. Each line of the input is a JSON array: the emulator's URL, the
scenario, and files for what it prints and for its errors. Each line of the output is the exit
status of one. A scenario runs as ``python SCRIPT URL SCENARIO`` would, in a fork of this process.
"""

import ast
import json
import os
import runpy
import signal
import sys
import traceback

TIMEOUT_S = 240


def run(script, url, scenario, out, err):
    signal.alarm(TIMEOUT_S)
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
    os.environ["IONQ_API_URL"] = url
    sys.argv = [script, url, scenario]
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


script = sys.argv[1]
with open(script) as source:
    imports = [
        node
        for node in ast.parse(source.read()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
exec(compile(ast.Module(imports, []), script, "exec"))
for line in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(run(script, *json.loads(line)))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
