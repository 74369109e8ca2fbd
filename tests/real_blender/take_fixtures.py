"""Runs inside a Blender: ``blender -b --factory-startup --python take_fixtures.py -- FOLDER``, with the packages under FOLDER/source.

Builds, reads and renders every scene of ``tests/blender_true`` and leaves what the comparison needs in FOLDER.
"""

import sys
from pathlib import Path

FOLDER = Path(sys.argv[sys.argv.index("--") + 1])
sys.path.insert(0, str(FOLDER / "source"))

from tests.blender_true.gallery import FIXTURES  # noqa: E402
from tests.blender_true.take import take  # noqa: E402
from tests.blender_true.taken import save_taken  # noqa: E402

for fixture in FIXTURES.values():
    save_taken(FOLDER / fixture.file_name, take(fixture))
