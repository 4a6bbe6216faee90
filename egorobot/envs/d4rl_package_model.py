"""D4RL's MJCF as today's MuJoCo takes it: put together and corrected in memory."""

import xml.etree.ElementTree as ET
from pathlib import Path

MAIN_CLASS = "main"  # what MuJoCo calls the outermost default class


def corrected_mjcf(path: Path) -> str:
    """Return the model in `path` as one text that MuJoCo 3 compiles; the files stay as they are.

    Two things are changed, neither of them physics. Included files are put in place, which
    lets their text be corrected, and folders are made absolute, since the text no longer
    lies in one. A default class of the outermost level that has another name than `main`
    is put into a nameless one, where it inherits nothing, as it did: MuJoCo 2 read several
    outermost classes, MuJoCo 3 takes the second for a new name of the first.

    Raises:
        OSError: the file, or one that it includes, cannot be read.
        ET.ParseError: one of them is no XML.
    """
    root = ET.parse(path).getroot()
    _include(root, path.parent)
    for compiler in root.iter("compiler"):
        for attribute in ("meshdir", "texturedir", "assetdir"):
            if attribute in compiler.attrib:
                compiler.set(attribute, str((path.parent / compiler.attrib[attribute]).resolve()))
    for default in root.findall("default"):
        if default.get("class", MAIN_CLASS) != MAIN_CLASS:
            root.insert(list(root).index(default), outer := ET.Element("default"))
            root.remove(default)
            outer.append(default)
    return ET.tostring(root, encoding="unicode")


def _include(element: ET.Element, folder: Path) -> None:
    """Put the content of included files, named as seen from `folder`, in the place of `include`."""
    children: list[ET.Element] = []
    for child in list(element):
        if child.tag == "include":
            included = ET.parse(folder / child.attrib["file"]).getroot()
            _include(included, folder)
            children.extend(included)
        else:
            _include(child, folder)
            children.append(child)
    element[:] = children
