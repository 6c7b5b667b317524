"""Pages of the site that are no files of docs/: README.md and the like, and the API reference.

A hook of MkDocs, named in mkdocs.yml. The reference has a page for each room, with the public names
that its `__init__.pyi` lists.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
WITHOUT_HEADING = "\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false"
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files, *, config):
    """Adds the pages that are made."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    for stub in sorted((ROOT / "hsi_jax").glob("*/__init__.pyi")):
        page = f"reference/{stub.parent.name}.md"
        files.append(File.generated(config, page, content=_reference(stub)))
    errors = f"# hsi_jax.errors\n\n::: hsi_jax.errors{WITHOUT_HEADING}\n"
    files.append(File.generated(config, "reference/errors.md", content=errors))
    return files


def on_page_markdown(markdown, *, page, files, **_):
    """Leads links to pages of the site; other files of the repository are named without a link."""
    folder = ROOT if page.file.src_uri in PAGES.values() else ROOT / "docs"

    def link(match):
        text, path, anchor = match.groups()
        if not path or path.startswith("https:"):
            return match.group()
        target = (folder / path).resolve().relative_to(ROOT).as_posix()
        target = PAGES.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(target):
            return f"{text}({target}{anchor or ''})"
        return text.strip("[]")

    return LINK.sub(link, markdown)


def _reference(stub):
    """A page about the public names of a room."""
    room = f"hsi_jax.{stub.parent.name}"
    names = re.findall(r"^from \.(\S+) import (\w+) as", stub.read_text(encoding="utf-8"), re.M)
    parts = [f"# {room}", f"::: {room}{WITHOUT_HEADING}\n      members: false"]
    return "\n\n".join([*parts, *(f"::: {room}.{m}.{n}" for m, n in names)]) + "\n"
