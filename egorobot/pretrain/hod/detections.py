"""What a detector says of a frame: hands and objects, in the fields of 100DOH's (Shan et al. 2020)."""

from dataclasses import dataclass, field

from egorobot.errors import UserError
from egorobot.pretrain.samples import SIDES

Box = tuple[float, float, float, float]  # left, top, right, bottom, in [0, 1]
# Contact states: none, the person, another person, a portable object, a fixed object.
CONTACTS = ("N", "S", "O", "P", "F")
WITH_OBJECT = ("P", "F")


@dataclass(frozen=True)
class HandDetection:
    """A hand in a frame.

    Attributes:
        side: "left" or "right".
        box: where it is.
        score: confidence, in [0, 1].
        contact: one of `CONTACTS`, None where the detector does not tell.
    """

    side: str
    box: Box
    score: float
    contact: str | None = None

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            UserError: the side or the contact is unknown, or the box is none.
        """
        if self.side not in SIDES or self.contact not in (None, *CONTACTS):
            raise UserError(f"a detected hand is {self.side}, its contact {self.contact}: left or right, and N S O P F")
        check_box(self.box)


@dataclass(frozen=True)
class ObjectDetection:
    """An object in a frame: where it is, and the detector's confidence in [0, 1]."""

    box: Box
    score: float

    def __post_init__(self) -> None:
        """Check the box.

        Raises:
            UserError: it is none.
        """
        check_box(self.box)


@dataclass(frozen=True)
class FrameDetections:
    """What is seen at one time, in s from the clip's first frame."""

    time: float
    hands: list[HandDetection] = field(default_factory=list)
    objects: list[ObjectDetection] = field(default_factory=list)


def check_box(box: Box) -> None:
    """Check that `box` lies in the image.

    Raises:
        UserError: it does not, or has a number that is not finite.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):  # false for NaN too
        raise UserError(f"a detection's box is {box}: left, top, right and bottom must be ascending, in [0, 1]")
