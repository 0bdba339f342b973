"""Progress of long work, on stderr, so that results on stdout stay clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from core.interfaces.output import stderr_console

Report = Callable[[float], None]


@contextmanager
def progress_bar(label: str, *, console: Console | None = None) -> Iterator[Report]:
    """Show a bar while the block runs; yield what takes the fraction done, 0 to 1.

    Where stderr is no terminal only the beginning and the end are written, as plain lines.
    """
    console = console or stderr_console()
    if not console.is_terminal:
        console.print(f"{label} …", markup=False)
        yield lambda fraction: None
        console.print(f"{label}: done", markup=False)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=8) as progress:
        task = progress.add_task(label, total=1.0)
        yield lambda fraction: progress.update(task, completed=min(1.0, max(0.0, fraction)))
