"""The picture of a result in SCT's own report: cuts across the cord, in the colours of the levels."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from sct_rootlets.levels import level_name
from sct_rootlets.report.page.mosaic import mosaic
from sct_rootlets.subject import SubjectLevels


def write_pictures(subject: SubjectLevels, background: Path, overlay: Path) -> None:
    """Write the two pictures that SCT's report shows in turn.

    SCT would draw all labels in one colour, and enlarge them by linear interpolation.

    Parameters
    ----------
    subject : SubjectLevels
    background : Path
        PNG file: grey values, with the name of the level above each column.
    overlay : Path
        PNG file of the same size: outlines of rootlets in the colours of their levels, and of the cord; transparent
        elsewhere.
    """
    view, cuts = mosaic(subject)
    scan = Image.fromarray(view.gray)
    drawing = ImageDraw.Draw(scan)
    width = scan.width // (1 + max(cut.column for cut in cuts))
    for cut in cuts:
        if cut.level and cut.row == 0:
            drawing.text((cut.column * width + 4, 2), level_name(cut.level, "spinal"), fill=255)
    scan.save(background)
    Image.fromarray(view.overlay()).save(overlay)
