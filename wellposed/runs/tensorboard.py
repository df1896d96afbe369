"""Scalars as TensorBoard events, through TensorBoard's own writer."""

# protobuf makes these classes when it is imported:
# pyright: reportAttributeAccessIssue=false

import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from wellposed.runs import disk
from wellposed.runs.files import explained


class ScalarWriter:
    """Writes named scalars into one event file of `folder`."""

    def __init__(self, folder: Path):
        """`folder` is made if it is missing, and emptied of events: the record's rows are what counts."""
        self._folder = folder
        with explained(folder, "create"):
            for old in folder.glob("events.*"):
                disk.remove(old)
            self._writer = EventFileWriter(str(folder))

    def add(self, scalars: dict[str, float], step: int) -> None:
        """Add scalars at an environment step."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        with explained(self._folder, "write to"):
            self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Flush and close."""
        with explained(self._folder, "write to"):
            self._writer.close()
