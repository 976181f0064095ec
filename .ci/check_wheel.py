"""Check what a wheel installs: the package, its models, its licence and its commands, and nothing else."""

import sys
import zipfile
from pathlib import Path

wheel = zipfile.ZipFile(sys.argv[1])
names = set(wheel.namelist())
modules = {path.as_posix() for path in Path("sct_rootlets").rglob("*.py")} | {"sct_rootlets/py.typed"}
modules |= {path.as_posix() for path in Path("sct_rootlets/data").rglob("*") if path.is_file()}
metadata = {name for name in names if ".dist-info/" in name}
problems = [f"missing: {name}" for name in sorted(modules - names)]
problems += [f"unexpected: {name}" for name in sorted(names - metadata - modules)]
problems += [f"no {what}" for what in ("LICENSE", "entry_points.txt") if not any(n.endswith(what) for n in metadata)]
commands = wheel.read(next(name for name in metadata if name.endswith("entry_points.txt"))).decode()
for name in ("sct_rootlets", "sct_deepseg", "sct_compute_spinal_levels"):
    problems += [] if f"{name} =" in commands else [f"no command {name}"]
print("\n".join(problems) or f"{sys.argv[1]}: {len(names)} files, as they should be")
sys.exit(bool(problems))
