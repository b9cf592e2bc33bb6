"""Where workers and sandboxes come from: subprocesses of this machine.

`local` starts ordinary `loadgen worker` processes, `sandbox` a built-in target.
"""
