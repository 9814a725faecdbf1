"""What the batches of an epoch come to, put down step by step and added up when it is asked for."""

from app.engine.batches import Batches
from app.engine.entries import Sums
from app.engine.network import Config
from app.engine.rows import Rows
from app.engine.spec import Array
from app.engine.state import Begun


class Tally:
    """The losses and outputs of the batches of an epoch, from a row on.

    A step puts down no more than that, as it would take long to count the right answers of each small batch by itself.

    Attributes:
        first: the row.
        begun: what the batches before it came to.
        losses: one for each batch, in their order.
        outputs: what the network answered, each batch at its rows (n, units); None for a loss that does not classify.
    """

    __slots__ = ("begun", "first", "losses", "outputs")

    def __init__(self, outputs: Array | None) -> None:
        """Put outputs down in an array of this shape, or nowhere."""
        self.outputs = outputs
        self.losses: list[float] = []
        self.start()

    def start(self, first: int = 0, begun: Begun | None = None) -> None:
        """Start anew at a row of an epoch."""
        self.first, self.begun = first, begun
        self.losses.clear()

    def sums(self, config: Config, rows: Rows, batches: Batches, epoch: int) -> Sums:
        """All of it, added up, for the epoch of an index."""
        sums, start = Sums(self.begun), self.first
        for loss in self.losses:
            stop = batches.end(start)
            sums.add(stop - start, loss)
            start = stop
        if self.outputs is not None and self.losses:
            picked = batches.picked(epoch, self.first, start)
            sums.count(config.loss, self.outputs[self.first : start], rows.targets[picked])
        return sums
