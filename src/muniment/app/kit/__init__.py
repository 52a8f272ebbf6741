"""The auditor kit: what checks an exported bundle or proof without Muniment, and how it is handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from muniment.domain.errors import StorageError

PROGRAM: Final = "verify_muniment.py"
SCRIPT: Final = "verify.sh"
FILES: Final = (PROGRAM, SCRIPT)
_HERE: Final = Path(__file__).parent


def content(name: str) -> bytes:
    """Return one of the kit's files."""
    return (_HERE / name).read_bytes()


def write(folder: Path) -> list[Path]:
    """Write the kit into a folder, which is made if it is not there; return the files."""
    written = [folder / name for name in FILES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in written:
            path.write_bytes(content(path.name))
            path.chmod(0o755)
    except OSError as error:
        msg = f"the kit cannot be written into {folder} ({error.strerror}) — name another folder"
        raise StorageError(msg) from error
    return written
