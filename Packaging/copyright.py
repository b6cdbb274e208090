#!/usr/bin/python3
"""Prints the package's copyright file: the licence of each package that is linked into the program.

    copyright.py BUILD-FOLDER

BUILD-FOLDER has the checkouts and the state of what was resolved.
"""
import json
import os
import re
import subprocess
import sys

build = sys.argv[1]
LICENCES = [
    ("Apache-2.0 WITH Swift-exception", r"Apache License.*Runtime Library Exception"),
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("MIT", r"Permission is hereby granted, free of charge"),
    ("BSD-3-Clause", r"Redistribution and use in source.*Neither the name"),
]
print("""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: stardust

Files: *
Copyright: 2025-2026 the authors of Stardust
License: proprietary
 All rights reserved.

Comment: The program contains the following packages.
""")
with open(os.path.join(build, "workspace-state.json")) as file:
    dependencies = json.load(file)["object"]["dependencies"]
for dependency in sorted(dependencies, key=lambda d: d["packageRef"]["identity"]):
    identity = dependency["packageRef"]["identity"]
    version = dependency["state"].get("checkoutState", {}).get("version", "unknown")
    folder = os.path.join(build, "checkouts", dependency["subpath"])
    names = [name for name in sorted(os.listdir(folder)) if re.match(r"(?i)licen[sc]e", name)]
    text = open(os.path.join(folder, names[0])).read() if names else ""
    licence = next((spdx for spdx, words in LICENCES if re.search(words, text, re.S)), None)
    if licence is None:
        sys.exit(f"copyright.py: no known licence in {folder}")
    print(f"Files: {identity} {version}\nCopyright: the authors of the package\nLicense: {licence}\n")
swift = subprocess.run(["swift", "--version"], capture_output=True, text=True).stdout
version = re.search(r"Swift version (\S+)", swift)
print(f"""Files: swift-runtime {version.group(1) if version else "unknown"}
Copyright: 2014-2026 Apple Inc. and the Swift project authors
License: Apache-2.0 WITH Swift-exception

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.

License: Apache-2.0 WITH Swift-exception
 As Apache-2.0, and: portions of the runtime that are compiled into a program need no notice of their own.""")
