"""What the tab shows while a fit runs."""

import bpy

from .. import session
from ..progress import curve, duration
from .tab import line_length, wrapped


def draw_progress(layout: bpy.types.UILayout, fit: session.Session) -> None:
    """Draws stage, bar, loss curve, time left and the buttons."""
    progress = fit.progress
    running = fit.state is session.State.RUNNING and not fit.cancelling
    layout.label(text="Paused" if fit.paused and running else progress.activity, icon="PAUSE" if fit.paused and running else "NONE")
    layout.progress(factor=progress.fraction, type="BAR", text=f"Step {progress.step} of {progress.steps}" if progress.steps else "")
    if progress.losses and running:
        column = layout.box().column(align=True)
        column.label(text=curve(progress.losses, line_length()))
        row = column.row()
        row.label(text=f"Loss {progress.loss:.4g}")
        if progress.seconds_left is not None:
            row.label(text=f"{duration(progress.seconds_left)} left")
    row = layout.row(align=True)
    if running:
        row.operator("fit_to_photo.pause", text="Continue" if fit.paused else "Pause", icon="PLAY" if fit.paused else "PAUSE")
    row.operator("fit_to_photo.cancel", text="Stop and Keep Best" if not fit.changed else "Skip Renders", icon="CANCEL")
    if progress.renderer:
        layout.label(text=f"{progress.renderer} on {progress.device}", icon="INFO")
        wrapped(layout, progress.why)
