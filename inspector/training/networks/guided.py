"""A U-Net that fills holes with what a reference picture shows there, fitted to the frame around them.

It is `membrane`'s, with another first guess: the reference stands in the hole from the start, and the network draws
only what must change: light, focus, and edges that do not meet. Untrained it is the bare reference.
"""

from __future__ import annotations

from torch import Tensor

from inspector.training.networks.membrane import WIDTHS, MembraneUNet


class GuidedUNet(MembraneUNet):
    """[N,2C,H,W] in [0, 1], the references' channels behind the frames', and hole [N,1,H,W] in {0, 1} -> [N,C,H,W]."""

    def __init__(self, channels: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__(channels, extra=channels, widths=widths)
        self.channels = channels

    def forward(self, pair: Tensor, hole: Tensor) -> Tensor:  # type: ignore[override]
        """The whole picture anew; only what lies in the hole is meant to be used. The frame is not seen there."""
        frame, reference = pair[:, : self.channels], pair[:, self.channels :]
        return self.drawn_on(frame * (1 - hole) + reference * hole, hole, reference)
