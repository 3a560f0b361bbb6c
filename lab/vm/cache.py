"""Files kept under the hash of all that went into them, so that a change of any of it builds them anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.vm.progress import Progress


def digest(*parts: object) -> str:
    """Return a short hash of things that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest_of_files(paths: Iterable[str | Path]) -> str:
    """Return a short hash of files and whole folders: names, modes and contents."""
    total = hashlib.sha256()
    for top in map(Path, paths):
        for path in sorted([top, *top.rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(top.parent)} {path.stat().st_mode & 0o111:o}\n".encode())
                total.update(path.read_bytes())
    return total.hexdigest()[:16]


class Cache:
    """A folder of built files. ``build`` is called with a path beside the final one, which it is then renamed to."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder, self._progress = folder, progress
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, name: str, key: str, suffix: str) -> Path:
        """Return where a file of that name and key is kept."""
        return self.folder / f"{name}-{key}{suffix}"

    def get(self, name: str, key: str, suffix: str, build: Callable[[Path], None]) -> Path:
        """Return the file, built now if it is not there; files of the same name with other keys are removed."""
        path = self.path(name, key, suffix)
        if path.exists():
            return path
        part = path.with_name(f".part-{path.name}")
        started = self._progress.seconds
        self._progress(f"building {name}{suffix} …")
        part.unlink(missing_ok=True)
        build(part)
        for old in self.folder.glob(f"{name}-{'?' * len(key)}{suffix}"):
            old.unlink()
        part.replace(path)
        self._progress(f"built {path.name} in {self._progress.seconds - started:.0f} s")
        return path
